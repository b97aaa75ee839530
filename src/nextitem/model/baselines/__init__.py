"""Models that count, or that know users and read no history: one file per baseline; this union is the contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.baselines.bpr_mf import BprMf
from nextitem.model.baselines.co_occurrence import CoOccurrence
from nextitem.model.baselines.popularity import Popularity

AnyBaseline = Annotated[Popularity | CoOccurrence | BprMf, Field(discriminator="name")]

__all__ = ["AnyBaseline", "BprMf", "CoOccurrence", "Popularity"]
