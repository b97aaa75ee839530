"""Files of events, record by record: formats, checks, times."""
