"""What an answer rests on: how alike items are, which events carried one, and what would have come without them."""
