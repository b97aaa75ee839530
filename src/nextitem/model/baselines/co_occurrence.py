"""What followed the last item in training: a Markov chain of counts. C cases, K candidates, N items, P pairs.

The counts are sparse: one sorted key last · N + next per pair that occurs, so that the pairs of one last item, and of
those the ones in a slice of the catalogue, lie side by side.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.model.baselines.baseline import Baseline
from nextitem.model.weights import stored


class CoOccurrence(Baseline):
    """Scores an item by how often it followed the last item of the history; popularity decides between equal counts."""

    name: Literal["co_occurrence"] = "co_occurrence"
    window: int = Field(1, ge=1)
    """How many events after an item count as following it; 1 is the very next event. All of them count alike."""

    def learn(self, train: Sequences, seed: int = 0) -> "CoOccurrenceScorer":
        """The scorer with the counts of `train`; nothing is random. Raises DataError where no item follows another."""
        rows, items = train.flatten()
        keys = []
        for distance in range(1, self.window + 1):
            is_pair = rows[distance:] == rows[:-distance]
            keys.append((items[:-distance] * train.number_of_items + items[distance:])[is_pair])
        keys_P, counts_P = torch.unique(torch.cat(keys), return_counts=True)
        if not len(keys_P):
            raise DataError(
                f"in none of the {len(train):,} histories does a training event follow another, so there is nothing to "
                f"count; give longer histories, or take the baseline popularity"
            )
        return CoOccurrenceScorer(keys_P, counts_P.double(), train.counts().double())

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


class CoOccurrenceScorer:
    """Counts of pairs, and of items: the score is count + popularity / (events + 1).

    The second part is below 1, so it only orders equal counts; for an empty history, or a last item that nothing
    followed in training, it is all there is.
    """

    def __init__(self, keys_P: Tensor, counts_P: Tensor, popularity_N: Tensor) -> None:
        self.keys_P = keys_P
        self.counts_P = counts_P
        self.popularity_N = popularity_N

    def query(self, histories: Sequences) -> "CoOccurrenceQuery":
        """Scores by the last item of each history."""
        rows, items = histories.last(1).flatten()
        last_C = torch.full((len(histories),), -1, device=rows.device).index_put((rows,), items)
        return CoOccurrenceQuery(self, last_C)

    def tensors(self) -> dict[str, Tensor]:
        """What is stored of it, and `CoOccurrence.restore` needs."""
        return {"keys": self.keys_P, "counts": self.counts_P, "popularity": self.popularity_N}


class CoOccurrenceQuery:
    """Scores after C last items; −1 stands for an empty history."""

    def __init__(self, scorer: CoOccurrenceScorer, last_C: Tensor) -> None:
        self.scorer = scorer
        self.last_C = last_C
        self.number_of_items = len(scorer.popularity_N)
        self._fallback_N = scorer.popularity_N / (scorer.popularity_N.sum() + 1)

    def __len__(self) -> int:
        return len(self.last_C)

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start) float64."""
        scores = self._fallback_N[start:stop].repeat(len(self), 1)
        # The keys of an empty history are negative or 0 at most, and no pair is found below them.
        first_C = torch.searchsorted(self.scorer.keys_P, self.last_C * self.number_of_items + start)
        after_C = torch.searchsorted(self.scorer.keys_P, self.last_C * self.number_of_items + stop)
        found_C = after_C - first_C
        rows = torch.repeat_interleave(torch.arange(len(self), device=found_C.device), found_C)
        places = torch.arange(len(rows), device=rows.device) + (first_C - found_C.cumsum(0) + found_C)[rows]
        columns = self.scorer.keys_P[places] - self.last_C[rows] * self.number_of_items - start
        scores[rows, columns] += self.scorer.counts_P[places]
        return scores

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        wanted_CK = self.last_C[:, None] * self.number_of_items + ids_CK
        scores_CK = self._fallback_N[ids_CK]
        places_CK = torch.searchsorted(self.scorer.keys_P, wanted_CK)
        after_CK = torch.searchsorted(self.scorer.keys_P, wanted_CK, right=True)
        is_found_CK = after_CK > places_CK
        scores_CK[is_found_CK] += self.scorer.counts_P[places_CK[is_found_CK]]
        return scores_CK

    def select(self, rows: Tensor) -> "CoOccurrenceQuery":
        """The query for some of the histories (indices or a mask)."""
        return CoOccurrenceQuery(self.scorer, self.last_C[rows])
