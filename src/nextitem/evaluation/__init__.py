"""The only road to a reported number."""
