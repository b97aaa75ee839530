"""The item vectors of a run in an index, by which the best of a large catalogue are found without a score of all."""
