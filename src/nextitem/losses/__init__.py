"""How scores are judged in training: one file per loss; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.losses.binary_cross_entropy import BinaryCrossEntropy
from nextitem.losses.cross_entropy import CrossEntropy
from nextitem.losses.sampled_cross_entropy import SampledCrossEntropy

AnyLoss = Annotated[CrossEntropy | SampledCrossEntropy | BinaryCrossEntropy, Field(discriminator="name")]

__all__ = ["AnyLoss", "BinaryCrossEntropy", "CrossEntropy", "SampledCrossEntropy"]
