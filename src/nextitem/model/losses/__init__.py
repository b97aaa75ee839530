"""How scores are judged in training: one file per family of losses; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.losses.binary_cross_entropy import BinaryCrossEntropy
from nextitem.model.losses.bpr import BPR
from nextitem.model.losses.cross_entropy import CrossEntropy
from nextitem.model.losses.gbce import GBCE
from nextitem.model.losses.ranking_max import BPRMax, TOP1Max
from nextitem.model.losses.sampled_cross_entropy import SampledCrossEntropy

AnyLoss = Annotated[
    CrossEntropy | SampledCrossEntropy | BinaryCrossEntropy | GBCE | BPR | BPRMax | TOP1Max,
    Field(discriminator="name"),
]

__all__ = ["BPR", "GBCE", "AnyLoss", "BPRMax", "BinaryCrossEntropy", "CrossEntropy", "SampledCrossEntropy", "TOP1Max"]
