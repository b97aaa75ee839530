"""A catalogue that lives: items that are retired, renamed or new, without a training."""
