"""Models that count, or that know users and read no history: one file per baseline; this union is the contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.baselines.bpr_mf import BPRMF
from nextitem.model.baselines.co_occurrence import CoOccurrence
from nextitem.model.baselines.ease import EASE
from nextitem.model.baselines.item_knn import ItemKNN
from nextitem.model.baselines.popularity import Popularity
from nextitem.model.baselines.recent_popularity import RecentPopularity
from nextitem.model.baselines.vsknn import VSKNN

AnyBaseline = Annotated[
    Popularity | RecentPopularity | CoOccurrence | ItemKNN | VSKNN | EASE | BPRMF, Field(discriminator="name")
]

__all__ = ["BPRMF", "EASE", "VSKNN", "AnyBaseline", "CoOccurrence", "ItemKNN", "Popularity", "RecentPopularity"]
