"""A study of two rows on a small log."""

SMALL = """
summary = "BERT4Rec without positions"
source = "our own"
recipe = "bert4rec"
data = "synthetic"
overrides = ["encoder.dim=8", "encoder.inner=16", "objective.maximum_length=8", "training.epochs=1"]
against = "whole"

[published]
source = "a paper that never was"
candidates = "popularity:2"

[[rows]]
label = "whole"
published = { "events.csv" = 0.625 }

[[rows]]
label = "no positions"
overrides = ['encoder.without=["positions"]']
published = { "events.csv" = 0.375 }
"""
