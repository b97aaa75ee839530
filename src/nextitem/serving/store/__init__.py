"""What a service is told while it runs, in one SQLite database; and all of its state in one file."""
