"""Many trainings, one beside the other."""
