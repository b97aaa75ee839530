"""What every configuration has in common, and `key=value` laid on it."""
