"""Models that only count: one file per baseline; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.baselines.co_occurrence import CoOccurrence
from nextitem.baselines.popularity import Popularity

AnyBaseline = Annotated[Popularity | CoOccurrence, Field(discriminator="name")]

__all__ = ["AnyBaseline", "CoOccurrence", "Popularity"]
