"""Ranks of scores that are common to all histories but for a few. E entries, H hidden, N items, R cases of a block.

What is common is sorted once. A target's rank among it is found by halving, and corrected by the history's own scores
and by what is hidden: the same numbers as from a score of every item, for a small part of the work.
"""

import torch
from torch import Tensor

from nextitem.evaluation.hiding import Seen, among
from nextitem.evaluation.scoring import SparseQuery, refuse_nan


class SparseRanks:
    """Finds ranks of the cases of a query; items of `seen` are hidden. Raises ScoreError when a score is NaN."""

    def __init__(self, query: SparseQuery, seen: Seen | None) -> None:
        self.query = query
        self.seen = seen
        self.common_N = query.common_N.cpu()
        refuse_nan(self.common_N)
        self._ascending_N = self.common_N.sort().values

    def of(self, rows_R: Tensor, targets_R: Tensor) -> Tensor:
        """Above and tied of some cases, as `target_ranks` has them, shape (2, R) float64."""
        number_of_items = len(self.common_N)
        own = _Own(*self.query.select(rows_R).own(), self.common_N)
        scores_R = own.scores_at(torch.arange(len(rows_R)) * number_of_items + targets_R)
        rows_H = items_H = keys_H = torch.zeros(0, dtype=torch.int64)
        if self.seen is not None:
            rows_H, items_H = self.seen.select(rows_R).flatten()
            keys_H = (rows_H * number_of_items + items_H).unique()
        # An own score is one more, what is common in its place one less, and so is what is hidden.
        rows = torch.cat([own.rows_E, own.rows_E, keys_H // number_of_items])
        scores = torch.cat([own.scores_E, self.common_N[own.items_E], own.scores_at(keys_H)])
        signs = torch.ones(len(rows), dtype=torch.float64)
        signs[len(own.rows_E) :] = -1
        above_R, reached_R = (
            number_of_items
            - torch.searchsorted(self._ascending_N, scores_R, right=is_strict).double()
            + torch.bincount(rows, signs * compared(scores, scores_R[rows]), minlength=len(rows_R))
            for is_strict, compared in ((True, torch.gt), (False, torch.ge))
        )
        is_miss_R = (scores_R == -torch.inf) | among(rows_H, items_H, targets_R)
        tied_R = reached_R - above_R - 1
        return torch.stack([above_R.masked_fill(is_miss_R, torch.inf), tied_R.masked_fill(is_miss_R, 0)])


class _Own:
    """The own scores of a block, found by row · N + item."""

    def __init__(self, rows_E: Tensor, items_E: Tensor, scores_E: Tensor, common_N: Tensor) -> None:
        self.rows_E, self.items_E, self.scores_E = rows_E.cpu(), items_E.cpu(), scores_E.cpu()
        refuse_nan(self.scores_E)
        self._common_N = common_N
        self._keys_E = self.rows_E * len(common_N) + self.items_E

    def scores_at(self, keys_X: Tensor) -> Tensor:
        """Of each pair of a row and an item its score, be it own or common."""
        scores_X = self._common_N[keys_X % len(self._common_N)]
        places_X = torch.searchsorted(self._keys_E, keys_X)
        is_own_X = torch.searchsorted(self._keys_E, keys_X, right=True) > places_X
        scores_X[is_own_X] = self.scores_E[places_X[is_own_X]]
        return scores_X
