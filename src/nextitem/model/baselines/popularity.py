"""The most popular items, the same for everyone. N items."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.baselines.sparse import SparseQuery
from nextitem.model.weights import stored


class Popularity(Baseline):
    """Scores an item by how often it occurs in training; where events are of several kinds, by what they weigh."""

    name: Literal["popularity"] = "popularity"
    is_yardstick: ClassVar[bool] = True

    def learn(self, train: Sequences, seed: int = 0) -> "PopularityScorer":
        """The scorer with the weighted counts of `train`; nothing is random."""
        return PopularityScorer(train.weighted_counts())

    def restore(self, tensors: Mapping[str, Tensor]) -> "PopularityScorer":
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        counts_N = stored(tensors, "counts", like=torch.empty(0, dtype=torch.float64))
        if bool((counts_N < 0).any()):
            raise ValueError("counts holds numbers below 0")
        return PopularityScorer(counts_N)


class PopularityScorer:
    """The count of every item; histories are not looked at."""

    def __init__(self, counts_N: Tensor) -> None:
        self.counts_N = counts_N

    def query(self, histories: Sequences) -> SparseQuery:
        """The same counts for every history, an empty one included."""
        return SparseQuery(self.counts_N, histories)

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `Popularity.restore` needs."""
        return {"counts": self.counts_N}
