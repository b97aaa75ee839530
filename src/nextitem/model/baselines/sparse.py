"""Scores that are one list for all, but for a few items of each history. C cases, E entries, K candidates, N items."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences


class Entries(NamedTuple):
    """What single histories say of single items; each pair of the two at most once."""

    rows_E: Tensor
    """Which history, by its place; ascending."""
    items_E: Tensor
    """Which item; ascending within a history."""
    scores_E: Tensor
    """The whole score of the pair, float64: it stands instead of what is common to all."""


def nothing(histories: Sequences) -> Entries:
    """No entries: whatever the history, all items have the scores that are common to all."""
    empty = torch.zeros(0, dtype=torch.int64)
    return Entries(empty, empty, torch.zeros(0, dtype=torch.float64))


class SparseQuery:
    """Scores of C histories, float64: `common_N`, but where `own` says something else of a history."""

    def __init__(self, common_N: Tensor, histories: Sequences, own: Callable[[Sequences], Entries] = nothing) -> None:
        """`own` finds the entries of some histories; it is asked once, and of few of them at a time by who ranks."""
        self.common_N = common_N
        self.histories = histories
        self.number_of_items = len(common_N)
        self._own = own

    def __len__(self) -> int:
        return len(self.histories)

    @cached_property
    def _entries(self) -> Entries:
        return self._own(self.histories)

    def own(self) -> tuple[Tensor, Tensor, Tensor]:
        """(rows_E, items_E, scores_E): where a history says something else than `common_N`, by row and item."""
        return self._entries

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start) float64."""
        scores = self.common_N[start:stop].repeat(len(self), 1)
        rows_E, items_E, scores_E = self._entries
        is_here_E = (items_E >= start) & (items_E < stop)
        scores[rows_E[is_here_E], items_E[is_here_E] - start] = scores_E[is_here_E]
        return scores

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        rows_E, items_E, scores_E = self._entries
        keys_E = rows_E * self.number_of_items + items_E
        wanted_CK = torch.arange(len(self))[:, None] * self.number_of_items + ids_CK
        places_CK = torch.searchsorted(keys_E, wanted_CK)
        is_own_CK = torch.searchsorted(keys_E, wanted_CK, right=True) > places_CK
        scores_CK = self.common_N[ids_CK]
        scores_CK[is_own_CK] = scores_E[places_CK[is_own_CK]]
        return scores_CK

    def select(self, rows: Tensor) -> "SparseQuery":
        """The query for some of the histories (indices or a mask)."""
        return SparseQuery(self.common_N, self.histories.select(rows), self._own)


def below_zero(popularity_N: Tensor) -> Tensor:
    """Scores from −1 to below 0 in the order of popularity, for items of which a sum above 0 says nothing."""
    return popularity_N / (popularity_N.sum() + 1) - 1


def least_step(counts_P: Tensor) -> float:
    """The least difference between two of the counts, or one of them and 0; 1 where all are whole."""
    if bool((counts_P == counts_P.round()).all()):
        return 1.0
    return float(torch.cat([counts_P.new_zeros(1), counts_P]).unique().diff().min())


def check_rows(starts: Tensor, items: Tensor, rows: int, number_of_items: int) -> None:
    """Raises ValueError where `items` are no rows of ascending items, of which row r begins at starts[r]."""
    if len(starts) != rows + 1:
        raise ValueError(f"starts has {len(starts):,} numbers and should have {rows + 1:,}")
    if int(starts[0]) != 0 or int(starts[-1]) != len(items) or bool((starts[1:] < starts[:-1]).any()):
        raise ValueError(f"starts should ascend from 0 to {len(items):,}")
    if len(items) and not 0 <= int(items.min()) <= int(items.max()) < number_of_items:
        raise ValueError(f"items should be below {number_of_items:,}")
    is_same_row = torch.ones(max(0, len(items) - 1), dtype=torch.bool)
    inner = starts[(starts > 0) & (starts < len(items))]
    is_same_row[inner - 1] = False
    if bool(((items[1:] <= items[:-1]) & is_same_row).any()):
        raise ValueError("the items of a row should ascend")
