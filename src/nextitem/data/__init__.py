"""Events in: from a file to a log to a split."""
