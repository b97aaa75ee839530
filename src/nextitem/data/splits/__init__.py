"""Which events may be learnt from, and which are asked for."""
