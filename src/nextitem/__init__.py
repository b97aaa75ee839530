"""Next-item recommendation you can trust: from an event log to a compared, explained, served model."""

from importlib.metadata import version

from nextitem.baselines import CoOccurrence, Popularity
from nextitem.encoders import GPT2, BERT4Rec, GRU4Rec, SASRec
from nextitem.errors import NextitemError
from nextitem.evaluation import Report, evaluate
from nextitem.experiment import Outcome, prepare, run
from nextitem.interactions import Interactions, index
from nextitem.losses import BPR, GBCE, BinaryCrossEntropy, BPRMax, CrossEntropy, SampledCrossEntropy, TOP1Max
from nextitem.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.objectives import MaskedItem, NextItem
from nextitem.reading import read_interactions
from nextitem.recipe import Recipe, load_preset, resolve_recipe
from nextitem.recommender import Recommendation, Recommender
from nextitem.splits import LeaveOneOut
from nextitem.training import Training

__version__ = version("nextitem")

__all__ = [
    "BPR",
    "GBCE",
    "GPT2",
    "BERT4Rec",
    "BPRMax",
    "BinaryCrossEntropy",
    "ByPopularity",
    "CoOccurrence",
    "CrossEntropy",
    "GRU4Rec",
    "InBatch",
    "Interactions",
    "LeaveOneOut",
    "MaskedItem",
    "Mixed",
    "NextItem",
    "NextitemError",
    "Outcome",
    "Popularity",
    "Recipe",
    "Recommendation",
    "Recommender",
    "Report",
    "SASRec",
    "SampledCrossEntropy",
    "TOP1Max",
    "Training",
    "Uniform",
    "evaluate",
    "index",
    "load_preset",
    "prepare",
    "read_interactions",
    "resolve_recipe",
    "run",
]
