"""A recommender as a service: many ask at once, over HTTP, and each is told which model answered."""
