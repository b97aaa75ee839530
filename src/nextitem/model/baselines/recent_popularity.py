"""The items that were popular lately, the same for everyone. N items, U users."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.moments import places_at
from nextitem.errors import DataError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.baselines.sparse import SparseQuery, least_step
from nextitem.model.weights import stored

_SECONDS_OF_A_DAY = 86_400


class RecentPopularity(Baseline):
    """Scores an item by how often it occurs in the last days of training; popularity decides between equal counts.

    The days end at the newest training event, which is all that is known when a model begins to serve: not at the time
    of each question, although a split by users has training events later than some of them.
    """

    name: Literal["recent_popularity"] = "recent_popularity"
    is_yardstick: ClassVar[bool] = True
    days: float = Field(30.0, gt=0.0)
    """How many days before the newest training event count, and parts of days."""

    @property
    def reads_times(self) -> bool:
        """Always."""
        return True

    def check(self, train: Sequences) -> None:
        """Raises DataError for events without times."""
        if not train.has_times:
            raise DataError(
                "the log has no times, so nobody knows which events are recent; give events with a column of times, or "
                "take the baseline popularity"
            )

    def learn(self, train: Sequences, seed: int = 0) -> "RecentPopularityScorer":
        """The scorer with the counts of `train`; nothing is random. Raises DataError where times are not known."""
        self.check(train)
        newest = max((part.times().max().item() for part in train.parts() if int(part.sizes_U.sum())), default=0)
        # A history is in order of time, so that what is recent is the end of it.
        starts_U = places_at(train, newest - self.days * _SECONDS_OF_A_DAY)
        lately = replace(train, starts_U=starts_U, known_counts_N=None, host_lengths_U=None)
        # So that five events of 0.2 are one of 1, whatever float32 makes of 0.2.
        recent_N, popularity_N = (part.weighted_counts().round(decimals=6) for part in (lately, train))
        return RecentPopularityScorer(recent_N, popularity_N)

    def restore(self, tensors: Mapping[str, Tensor]) -> "RecentPopularityScorer":
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        recent_N, popularity_N = (
            stored(tensors, name, like=torch.empty(0, dtype=torch.float64)) for name in ("recent", "popularity")
        )
        if len(recent_N) != len(popularity_N):
            raise ValueError(f"recent has {len(recent_N):,} numbers and popularity {len(popularity_N):,}")
        if bool((recent_N < 0).any() | (recent_N > popularity_N).any()):
            raise ValueError("recent should be at least 0 and at most popularity")
        return RecentPopularityScorer(recent_N, popularity_N)


class RecentPopularityScorer:
    """Counts of the last days, and of all: the score is recent + step · popularity / (events + 1).

    The step is the least difference between two counts, 1 where all are whole: the second part only orders equals.
    """

    def __init__(self, recent_N: Tensor, popularity_N: Tensor) -> None:
        self.recent_N = recent_N
        self.popularity_N = popularity_N
        self._scores_N = recent_N + popularity_N / (popularity_N.sum() + 1) * least_step(recent_N)

    def query(self, histories: Sequences) -> SparseQuery:
        """The same scores for every history, an empty one included."""
        return SparseQuery(self._scores_N, histories)

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `RecentPopularity.restore` needs."""
        return {"recent": self.recent_N, "popularity": self.popularity_N}
