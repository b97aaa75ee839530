"""How scores are judged in training: one file per family of losses; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.losses.binary_cross_entropy import BinaryCrossEntropy
from nextitem.losses.bpr import BPR
from nextitem.losses.cross_entropy import CrossEntropy
from nextitem.losses.gbce import GBCE
from nextitem.losses.ranking_max import BPRMax, TOP1Max
from nextitem.losses.sampled_cross_entropy import SampledCrossEntropy

AnyLoss = Annotated[
    CrossEntropy | SampledCrossEntropy | BinaryCrossEntropy | GBCE | BPR | BPRMax | TOP1Max,
    Field(discriminator="name"),
]

__all__ = ["BPR", "GBCE", "AnyLoss", "BPRMax", "BinaryCrossEntropy", "CrossEntropy", "SampledCrossEntropy", "TOP1Max"]
