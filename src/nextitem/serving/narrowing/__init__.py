"""Which items a list may hold, and which of several lists is put together of them."""
