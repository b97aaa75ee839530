"""One question, from raw ids to a list: what is heard, whose events count, and one pass of the model for many."""
