"""Figures and pages about many runs."""
