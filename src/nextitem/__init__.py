"""Next-item recommendation you can trust: from an event log to a compared, explained, served model."""

from importlib.metadata import version

from nextitem.baselines import BprMf, CoOccurrence, Ncf, Popularity
from nextitem.encoders import FPMC, GPT2, BERT4Rec, Caser, GRU4Rec, SASRec
from nextitem.errors import NextitemError
from nextitem.evaluation import Report, evaluate
from nextitem.experiment import Outcome, prepare, run
from nextitem.interactions import Interactions, index
from nextitem.losses import BPR, GBCE, BinaryCrossEntropy, BPRMax, CrossEntropy, SampledCrossEntropy, TOP1Max
from nextitem.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.objectives import MaskedItem, NextFew, NextItem
from nextitem.reading import read_interactions
from nextitem.recipe import Recipe, load_preset, resolve_recipe
from nextitem.recommender import Recommendation, Recommender
from nextitem.splits import LeaveOneOut
from nextitem.training import Training

__version__ = version("nextitem")

__all__ = [
    "BPR",
    "FPMC",
    "GBCE",
    "GPT2",
    "BERT4Rec",
    "BPRMax",
    "BinaryCrossEntropy",
    "BprMf",
    "ByPopularity",
    "Caser",
    "CoOccurrence",
    "CrossEntropy",
    "GRU4Rec",
    "InBatch",
    "Interactions",
    "LeaveOneOut",
    "MaskedItem",
    "Mixed",
    "Ncf",
    "NextFew",
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
