"""Datasets by name: published files with their fingerprints, and `synthetic`, which is generated."""

from nextitem.data.datasets.beauty import BEAUTY
from nextitem.data.datasets.ml_1m import ML_1M
from nextitem.data.datasets.ml_20m import ML_20M
from nextitem.data.datasets.ml_100k import ML_100K
from nextitem.data.datasets.steam import STEAM
from nextitem.data.datasets.yelp import YELP

DATASETS = {description.name: description for description in (ML_1M, BEAUTY, ML_20M, STEAM, YELP, ML_100K)}

__all__ = ["BEAUTY", "DATASETS", "ML_1M", "ML_20M", "ML_100K", "STEAM", "YELP"]
