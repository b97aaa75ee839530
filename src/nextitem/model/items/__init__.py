"""The tables that items are read from and scored by."""
