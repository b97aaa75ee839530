"""One recipe and one seed, from the name of the data to an outcome."""
