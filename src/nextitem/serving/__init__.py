"""Raw ids in, raw ids out."""
