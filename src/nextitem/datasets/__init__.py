"""Datasets by name: published files with their fingerprints, and `synthetic`, which is generated."""

from nextitem.datasets.beauty import BEAUTY
from nextitem.datasets.ml_1m import ML_1M

PUBLISHED = {description.name: description for description in (ML_1M, BEAUTY)}

__all__ = ["BEAUTY", "ML_1M", "PUBLISHED"]
