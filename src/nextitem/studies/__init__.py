"""Numbers about many runs."""
