"""Ranks and lists of scores that are common to all histories but for a few.

E entries, H hidden, N items, P places of the common order, R cases of a block.

What is common is sorted once. A target's rank among it is found by halving, and corrected by the history's own scores
and by what is hidden: the same numbers as from a score of every item, for a small part of the work. A list is made of
the head of the common order and of the history's own scores.
"""

import torch
from torch import Tensor

from nextitem.evaluation.hiding import Seen, among
from nextitem.evaluation.scoring import SparseQuery, refuse_nan


class SparseRanks:
    """Finds ranks and lists of a query's cases; items of `seen` are hidden. Raises ScoreError when a score is NaN."""

    def __init__(self, query: SparseQuery, seen: Seen | None) -> None:
        self.query = query
        self.seen = seen
        self.common_N = query.common_N.cpu()
        refuse_nan(self.common_N)
        self._ascending_N = self.common_N.sort().values
        self._best_first_N = self.common_N.argsort(descending=True, stable=True)

    def of(self, rows_R: Tensor, targets_R: Tensor) -> Tensor:
        """Above and tied of some cases, as `target_ranks` has them, shape (2, R) float64."""
        number_of_items = len(self.common_N)
        own = _Own(*self.query.select(rows_R).own(), self.common_N)
        scores_R = own.scores_at(torch.arange(len(rows_R)) * number_of_items + targets_R)
        rows_H, items_H = self._hidden(rows_R)
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

    def top(self, rows_R: Tensor, k: int, is_out_N: Tensor | None) -> tuple[Tensor, Tensor]:
        """(items_Rk, scores_Rk) of some cases, float64, as `top_k` has them."""
        own = _Own(*self.query.select(rows_R).own(), self.common_N)
        rows_H, items_H = self._hidden(rows_R)
        rows_X, items_X = torch.cat([own.rows_E, rows_H]), torch.cat([own.items_E, items_H])
        most = int(torch.bincount(rows_X, minlength=1).max())
        order_N = self._best_first_N if is_out_N is None else self._best_first_N[~is_out_N[self._best_first_N]]
        head_P = order_N[: k + most]  # so many that k are left of it, whatever is hidden or scored otherwise
        scores_RP = self.common_N[head_P].repeat(len(rows_R), 1)
        place_N = torch.full_like(self._best_first_N, len(head_P)).index_copy(0, head_P, torch.arange(len(head_P)))
        is_there_X = place_N[items_X] < len(head_P)
        scores_RP[rows_X[is_there_X], place_N[items_X[is_there_X]]] = -torch.inf
        items_Rw, scores_Rw = own.padded(len(rows_R), rows_H, items_H, is_out_N)
        scores = torch.cat([scores_RP, scores_Rw], 1)
        items, order = torch.cat([head_P.repeat(len(rows_R), 1), items_Rw], 1).sort(dim=1, stable=True)
        # By item first, so that a stable sort orders equal scores by item.
        scores, best = scores.gather(1, order).sort(dim=1, descending=True, stable=True)
        items, scores = items.gather(1, best)[:, :k], scores[:, :k]
        short = k - scores.shape[1]
        scores = torch.nn.functional.pad(scores, (0, short), value=-torch.inf)
        return torch.nn.functional.pad(items, (0, short)).masked_fill(scores == -torch.inf, -1), scores

    def _hidden(self, rows_R: Tensor) -> tuple[Tensor, Tensor]:
        """(rows_H, items_H): what is hidden of each case."""
        if self.seen is None:
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
        return self.seen.select(rows_R).flatten()


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

    def padded(self, rows: int, rows_H: Tensor, items_H: Tensor, is_out_N: Tensor | None) -> tuple[Tensor, Tensor]:
        """(items_Rw, scores_Rw): the entries as a table, −inf where one may not be listed, and behind the last."""
        is_out_E = torch.isin(self._keys_E, rows_H * len(self._common_N) + items_H)
        if is_out_N is not None:
            is_out_E |= is_out_N[self.items_E]
        counts_R = torch.bincount(self.rows_E, minlength=rows)
        places_E = torch.arange(len(self.rows_E)) - (counts_R.cumsum(0) - counts_R)[self.rows_E]
        items_Rw = torch.zeros(rows, int(counts_R.max()), dtype=torch.int64)
        scores_Rw = torch.full(items_Rw.shape, -torch.inf, dtype=self.scores_E.dtype)
        items_Rw[self.rows_E, places_E] = self.items_E
        scores_Rw[self.rows_E, places_E] = self.scores_E.masked_fill(is_out_E, -torch.inf)
        return items_Rw, scores_Rw
