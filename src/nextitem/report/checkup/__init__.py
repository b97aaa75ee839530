"""What was found in a log, as a page."""
