"""Models that count, or that know users and read no history: one file per baseline; this union is the contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.baselines.bpr_mf import BPRMF
from nextitem.model.baselines.co_occurrence import CoOccurrence
from nextitem.model.baselines.popularity import Popularity
from nextitem.model.baselines.recent_popularity import RecentPopularity

AnyBaseline = Annotated[Popularity | RecentPopularity | CoOccurrence | BPRMF, Field(discriminator="name")]

__all__ = ["BPRMF", "AnyBaseline", "CoOccurrence", "Popularity", "RecentPopularity"]
