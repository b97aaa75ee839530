"""The optimisation loop, and what stands around it."""
