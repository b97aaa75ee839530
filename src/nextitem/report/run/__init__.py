"""The page about one run."""
