"""What followed the last item in training: a Markov chain of counts. E entries, N items, P pairs.

The counts are sparse: one sorted key last · N + next per pair that occurs, so that the pairs of one last item lie side
by side.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.baselines.sparse import Entries, SparseQuery, least_step
from nextitem.model.weights import stored

_NOTHING = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)


class CoOccurrence(Baseline):
    """Scores an item by how often it followed the last item of the history; popularity decides between equal counts."""

    name: Literal["co_occurrence"] = "co_occurrence"
    is_yardstick: ClassVar[bool] = True
    window: int = Field(1, ge=1)
    """How many events after an item count as following it; 1 is the very next event. All of them count alike."""

    def learn(self, train: Sequences, seed: int = 0) -> "CoOccurrenceScorer":
        """The scorer with the counts of `train`; nothing is random. Raises DataError where no item follows another."""
        # Some histories at a time: those of a mapped log may be larger than the memory.
        found = [_counted(*_followed(part, self.window)) for part in train.parts()]
        keys_P, counts_P = _counted(*(torch.cat(column) for column in zip(*found, strict=True))) if found else _NOTHING
        if not len(keys_P):
            raise DataError(
                f"in none of the {len(train):,} histories does a training event follow another, so there is nothing to "
                f"count; give longer histories, or take the baseline popularity"
            )
        return CoOccurrenceScorer(keys_P, counts_P, train.weighted_counts())

    def restore(self, tensors: Mapping[str, Tensor]) -> "CoOccurrenceScorer":
        """The scorer that gave `tensors`. Raises ValueError for those of others."""
        keys_P = stored(tensors, "keys", like=torch.empty(0, dtype=torch.int64))
        counts_P, popularity_N = (
            stored(tensors, name, like=torch.empty(0, dtype=torch.float64)) for name in ("counts", "popularity")
        )
        if len(counts_P) != len(keys_P):
            raise ValueError(f"counts has {len(counts_P):,} numbers and keys {len(keys_P):,}")
        if bool((keys_P[1:] <= keys_P[:-1]).any()):
            raise ValueError("keys should ascend")
        if len(keys_P) and not 0 <= int(keys_P[0]) <= int(keys_P[-1]) < len(popularity_N) ** 2:
            raise ValueError(f"keys should be pairs of {len(popularity_N):,} items")
        if bool((counts_P < 0).any() | (popularity_N < 0).any()):
            raise ValueError("counts and popularity should be at least 0")
        return CoOccurrenceScorer(keys_P, counts_P, popularity_N)


def _followed(part: Sequences, window: int) -> tuple[Tensor, Tensor]:
    """The key of each pair of an event and one of the next `window` of its history, and what the latter weighs."""
    rows, items = part.flatten()
    weights = part.weights().double()
    keys, weighed = [], []
    for distance in range(1, window + 1):
        is_pair = (rows[distance:] == rows[:-distance]) & (weights[distance:] > 0)
        keys.append((items[:-distance] * part.number_of_items + items[distance:])[is_pair])
        weighed.append(weights[distance:][is_pair])
    return torch.cat(keys), torch.cat(weighed)


def _counted(keys: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct keys, ascending, and what each weighs in all, float64: how often it is there where all weigh 1."""
    keys_P, places = torch.unique(keys, return_inverse=True)
    sums_P = torch.zeros(len(keys_P), dtype=torch.float64).index_add_(0, places, weights)
    # So that five events of 0.2 are one of 1, whatever float32 makes of 0.2.
    return keys_P, sums_P.round(decimals=6)


class CoOccurrenceScorer:
    """Counts of pairs, and of items: the score is count + step · popularity / (events + 1).

    The step is the least difference between two counts of pairs, 1 where all are whole: the second part is below it, so
    it only orders equal counts; for an empty history, or a last item that nothing followed in training, it is all there
    is.
    """

    def __init__(self, keys_P: Tensor, counts_P: Tensor, popularity_N: Tensor) -> None:
        self.keys_P = keys_P
        self.counts_P = counts_P
        self.popularity_N = popularity_N
        self._fallback_N = popularity_N / (popularity_N.sum() + 1) * least_step(counts_P)

    def query(self, histories: Sequences) -> SparseQuery:
        """Scores by the last item of each history."""
        return SparseQuery(self._fallback_N, histories.last(1), self._followers)

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `CoOccurrence.restore` needs."""
        return {"keys": self.keys_P, "counts": self.counts_P, "popularity": self.popularity_N}

    def _followers(self, histories: Sequences) -> Entries:
        """The items that followed the last one of each history in training."""
        rows, items = histories.flatten()
        first = torch.searchsorted(self.keys_P, items * len(self.popularity_N))
        found = torch.searchsorted(self.keys_P, (items + 1) * len(self.popularity_N)) - first
        asked_E = torch.repeat_interleave(torch.arange(len(rows)), found)
        places_E = torch.arange(len(asked_E)) + (first - found.cumsum(0) + found)[asked_E]
        items_E = self.keys_P[places_E] - items[asked_E] * len(self.popularity_N)
        return Entries(rows[asked_E], items_E, self._fallback_N[items_E] + self.counts_P[places_E])
