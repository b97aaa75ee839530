"""A log larger than the memory, prepared once and mapped from then on."""
