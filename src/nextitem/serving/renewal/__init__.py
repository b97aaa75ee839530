"""A model that is learnt on: from all events, from new ones, or without a user."""
