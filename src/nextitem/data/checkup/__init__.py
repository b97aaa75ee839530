"""What there is to know about a log before anything learns from it, one file a finding."""
