"""Next-item recommendation you can trust: from an event log to a compared, explained, served model."""

from importlib.metadata import version

from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.prepare import prepare
from nextitem.data.reading.files import read_interactions
from nextitem.data.splits import LeaveOneOut
from nextitem.errors import NextitemError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Query, Scorer
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.model.baselines import BprMf, CoOccurrence, Ncf, Popularity
from nextitem.model.encoders import FPMC, GPT2, BERT4Rec, Caser, GRU4Rec, SASRec
from nextitem.model.items import Separate, Tied
from nextitem.model.losses import BPR, GBCE, BinaryCrossEntropy, BPRMax, CrossEntropy, SampledCrossEntropy, TOP1Max
from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.model.objectives import MaskedItem, NextFew, NextItem
from nextitem.serving.recommender import Recommendation, Recommender
from nextitem.training.fit import Training

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
    "Evaluation",
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
    "Query",
    "Ranking",
    "Recipe",
    "Recommendation",
    "Recommender",
    "SASRec",
    "SampledCrossEntropy",
    "Scorer",
    "Separate",
    "TOP1Max",
    "Tied",
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
