"""What a target is compared with when not with everything: one file per kind; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.negatives.in_batch import InBatch
from nextitem.model.negatives.mixed import Mixed
from nextitem.model.negatives.popularity import ByPopularity
from nextitem.model.negatives.uniform import Uniform

AnyNegatives = Annotated[Uniform | ByPopularity | InBatch | Mixed, Field(discriminator="name")]

__all__ = ["AnyNegatives", "ByPopularity", "InBatch", "Mixed", "Uniform"]
