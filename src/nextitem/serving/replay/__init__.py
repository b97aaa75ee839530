"""Held-out events through a service as it runs, beside the offline number of the same cases."""
