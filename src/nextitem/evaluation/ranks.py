"""Ranks by counting and lists by partial sorting, a tile of scores at a time. C cases, Q questions, N items.

The catalogue is never sorted for a rank: it is enough to count who scores higher.
"""

from itertools import pairwise

import torch
from torch import Tensor

from nextitem.evaluation.best import best_of
from nextitem.evaluation.hiding import Seen, among, hidden_targets
from nextitem.evaluation.scoring import Query, SparseQuery, refuse_nan
from nextitem.evaluation.sparse_ranks import SparseRanks
from nextitem.evaluation.tiles import Tiles, of_blocks

_CANDIDATE_ROWS = 512  # cases whose candidates are scored at a time


def target_ranks(
    query: Query, targets_C: Tensor, seen: Seen | None, questions_C: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(above_C, tied_C): how many items score higher than each target and how many others the same; float64.

    Of a query with Q histories `questions_C` says which one each target comes after; without it each has one target.
    Other targets of a question are items like any others. Items of `seen` (one view per history) are hidden: neither
    above nor tied. A target that cannot be listed, because it is hidden itself or scores −inf, is a miss: above is inf,
    tied 0. Raises ScoreError when a score is NaN.
    """
    targets_C = targets_C.cpu()
    above_C = torch.zeros(len(targets_C), dtype=torch.float64)
    tied_C = torch.zeros(len(targets_C), dtype=torch.float64)
    asked = _Asked(targets_C, torch.arange(len(query)) if questions_C is None else questions_C)
    sparse = SparseRanks(query, seen) if isinstance(query, SparseQuery) else None

    def rank(rows: Tensor) -> None:
        rows = rows[asked.counts_Q[rows].argsort(stable=True, descending=True)]
        cases_T, rows_T = asked.cases_of(rows)
        if sparse is None:
            above_C[cases_T], tied_C[cases_T] = _block_ranks(Tiles(query, seen, rows), targets_C[cases_T], rows_T)
        else:
            above_C[cases_T], tied_C[cases_T] = sparse.of(rows[rows_T], targets_C[cases_T])

    # In order of targets, those of a block lie in few tiles, and no more than these are scored twice.
    of_blocks(query, targets_C[asked.first_Q].argsort(stable=True), rank)
    return above_C, tied_C


class _Asked:
    """The cases of each of Q questions."""

    def __init__(self, targets_C: Tensor, questions_C: Tensor) -> None:
        order_C = targets_C.argsort(stable=True)
        self.order_C = order_C[questions_C[order_C].argsort(stable=True)]
        self.counts_Q = torch.bincount(questions_C)
        self.starts_Q = self.counts_Q.cumsum(0) - self.counts_Q
        self.first_Q = self.order_C[self.starts_Q]
        """The case of the smallest target."""

    def cases_of(self, rows_R: Tensor) -> tuple[Tensor, Tensor]:
        """(cases_T, rows_T): the cases of some questions, and which of these each belongs to.

        The first of every question come first, then the second of those that have one, and so on.
        """
        counts_R = self.counts_Q[rows_R]
        rows_T = torch.repeat_interleave(torch.arange(len(rows_R)), counts_R)
        rounds_T = torch.arange(len(rows_T)) - (counts_R.cumsum(0) - counts_R)[rows_T]
        order_T = rounds_T.argsort(stable=True)
        return self.order_C[self.starts_Q[rows_R][rows_T] + rounds_T][order_T], rows_T[order_T]


def _block_ranks(tiles: "Tiles", targets_T: Tensor, rows_T: Tensor) -> tuple[Tensor, Tensor]:
    """(above_T, tied_T) of a block's targets, of which `rows_T` says whose they are: 0…, and 0… again, and so on."""
    # The target's score is read from the very product its rivals come from: computed apart, it can differ in the
    # last bit, and equal items would no longer tie.
    order_T = (targets_T // tiles.width).argsort(stable=True)
    numbers, counts = (targets_T // tiles.width)[order_T].unique_consecutive(return_counts=True)
    target_scores, number, scores = [], -1, torch.empty(0)
    for number, places in zip(numbers.tolist(), order_T.split(counts.tolist()), strict=True):
        scores = tiles.scores(number)
        target_scores.append(scores[rows_T[places], targets_T[places] - tiles.start(number)])
    scores_T1 = torch.cat(target_scores)[order_T.argsort()][:, None]
    above_T = torch.zeros(len(targets_T), dtype=torch.float64, device=scores.device)
    reached_T = torch.zeros_like(above_T)
    rounds = _rounds(rows_T)
    # Ones and zeros as numbers: torch writes and sums booleans several times slower.
    is_more = torch.empty_like(scores, dtype=torch.float32)
    last = number
    for number in (last, *(number for number in range(tiles.count) if number != last)):
        scores = scores if number == last else tiles.scores(number)
        tiles.hide(scores, number, torch.nan)  # compares false with everything
        for places in rounds:
            rows = slice(places.stop - places.start)
            above_T[places] += torch.gt(scores[rows], scores_T1[places], out=is_more[rows]).sum(1)
            reached_T[places] += torch.ge(scores[rows], scores_T1[places], out=is_more[rows]).sum(1)
    above_T, reached_T = above_T.cpu(), reached_T.cpu()
    is_miss_T = (scores_T1[:, 0] == -torch.inf).cpu()
    for places in rounds:
        is_asked = tiles.rows < places.stop - places.start
        is_miss_T[places] |= among(tiles.rows[is_asked], tiles.items[is_asked], targets_T[places])
    return above_T.masked_fill(is_miss_T, torch.inf), (reached_T - above_T - 1).masked_fill(is_miss_T, 0)


def _rounds(rows_T: Tensor) -> list[slice]:
    """The stretches of `rows_T` that begin again with row 0."""
    starts = [*(rows_T == 0).nonzero()[:, 0].tolist(), len(rows_T)]
    return [slice(start, stop) for start, stop in pairwise(starts)]


def candidate_ranks(query: Query, targets_C: Tensor, ids_CK: Tensor, seen: Seen | None) -> tuple[Tensor, Tensor]:
    """As `target_ranks`, but (above_C, tied_C) among K candidates `ids_CK` of each case and not the whole catalogue.

    What is hidden, or scores −inf, is a miss here too. The candidates hold neither the target nor a hidden item. Raises
    ScoreError when a score is NaN.
    """
    targets_C, ids_CK = targets_C.cpu(), ids_CK.cpu()
    above_C = torch.zeros(len(query), dtype=torch.float64)
    tied_C = torch.zeros(len(query), dtype=torch.float64)
    is_miss_C = hidden_targets(seen, targets_C)
    for rows in torch.arange(len(query)).split(_CANDIDATE_ROWS):
        # The target's score is read from the very product its rivals come from, as in a full ranking.
        ids = torch.cat([targets_C[rows, None], ids_CK[rows]], 1)
        scores = query.select(rows).candidate_scores(ids).cpu()
        refuse_nan(scores)
        above_C[rows] = (scores[:, 1:] > scores[:, :1]).sum(1).double()
        tied_C[rows] = (scores[:, 1:] == scores[:, :1]).sum(1).double()
        is_miss_C[rows] |= scores[:, 0] == -torch.inf
    return above_C.masked_fill(is_miss_C, torch.inf), tied_C.masked_fill(is_miss_C, 0)


def top_k(query: Query, k: int, seen: Seen | None, candidates: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """(items_Ck, scores_Ck) of the k best items of each history, best first; items of `seen` never appear.

    With `candidates` (item indices) no other item does.

    Equal scores are ordered by item index, and an item that scores −inf is never listed. Where fewer than k items are
    left, the rest is item −1 with score −inf.
    Raises ScoreError when a score is NaN.
    """
    is_out_N = None
    if candidates is not None:
        is_out_N = torch.ones(query.number_of_items, dtype=torch.bool).index_fill(0, candidates.cpu(), False)
    sparse = SparseRanks(query, seen) if isinstance(query, SparseQuery) else None

    def listed(rows: Tensor) -> tuple[Tensor, Tensor]:
        if sparse is not None:
            return sparse.top(rows, k, is_out_N)
        return best_of(Tiles(query, seen, rows, is_wide=True), k, is_out_N)

    blocks = of_blocks(query, torch.arange(len(query)), listed)
    if not blocks:
        return torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, k)
    return torch.cat([items for items, _ in blocks]), torch.cat([scores for _, scores in blocks])
