"""Ranks by counting and lists by partial sorting, a tile of scores at a time. C cases, Q questions, N items.

The catalogue is never sorted for a rank: it is enough to count who scores higher. R rows of a block are scored against
W items of a tile, few enough to stay in a cache. On the CPU each thread takes whole blocks: operations of this size do
not share well, and what a block is does not depend on how many threads there are.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.evaluation.hiding import Seen, among, hidden_targets
from nextitem.evaluation.scoring import Query, SparseQuery, refuse_nan
from nextitem.evaluation.sparse_ranks import SparseRanks

_Found = TypeVar("_Found")
_TILE_ELEMENTS = 1 << 19  # scores alive at a time: 2 MB of float32
_TILE_ITEMS = 4096  # fewer rows and more items cost the product up to half of its speed
_CANDIDATE_ROWS = 512  # cases whose candidates are scored at a time
_GROUPS = 64  # of a tile's columns, whose maxima are compared first; divides _TILE_ITEMS
_MOST_HITS = 1 / 4  # share of groups that are looked into; beyond it a partial sort is faster


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
            above_C[cases_T], tied_C[cases_T] = _block_ranks(_Tiles(query, seen, rows), targets_C[cases_T], rows_T)
        else:
            above_C[cases_T], tied_C[cases_T] = sparse.of(rows[rows_T], targets_C[cases_T])

    # In order of targets, those of a block lie in few tiles, and no more than these are scored twice.
    _of_blocks(query, targets_C[asked.first_Q].argsort(stable=True), rank)
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


def _of_blocks(query: Query, order_C: Tensor, work: Callable[[Tensor], _Found]) -> list[_Found]:
    """What `work` returns for each block of adjacent cases of `order_C`."""
    blocks = [rows for rows in order_C.split(_block_rows(query)) if len(rows)]
    threads = min(torch.get_num_threads(), len(blocks))
    if threads < 2 or transfer.is_asynchronous(_Tiles(query, None, blocks[0]).scores(0).device):
        return [work(rows) for rows in blocks]
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    before = torch.get_num_threads()
    try:
        return list(pool.map(torch.no_grad()(work), blocks))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # also of threads that are yet to be started


def _block_ranks(tiles: "_Tiles", targets_T: Tensor, rows_T: Tensor) -> tuple[Tensor, Tensor]:
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
        return _block_top(_Tiles(query, seen, rows), k, is_out_N) if sparse is None else sparse.top(rows, k, is_out_N)

    blocks = _of_blocks(query, torch.arange(len(query)), listed)
    if not blocks:
        return torch.zeros(0, k, dtype=torch.int64), torch.zeros(0, k)
    return torch.cat([items for items, _ in blocks]), torch.cat([scores for _, scores in blocks])


def _block_top(tiles: "_Tiles", k: int, is_out_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """(items_Rk, scores_Rk) of a block: the best so far, and what beats the last of them in the next tile."""
    best_Rk, items_Rk = torch.empty(0), torch.empty(0)
    for number in range(tiles.count):
        start, scores = tiles.start(number), tiles.scores(number)
        if is_out_N is not None:
            scores.masked_fill_(is_out_N[start : start + tiles.width].to(scores.device), -torch.inf)
        tiles.hide(scores, number, -torch.inf)
        if number == 0:
            best_Rk = scores.new_full((len(scores), k), -torch.inf)
            items_Rk = torch.full_like(best_Rk, -1, dtype=torch.int64)
            more, columns = _tile_top(scores, k)
        else:
            more, columns = _contenders(scores, best_Rk)
        # What was found before has smaller indices, so that a stable sort orders equal scores by item.
        best, order = torch.cat([best_Rk, more], 1).sort(dim=1, descending=True, stable=True)
        best_Rk = best[:, :k]
        items_Rk = torch.cat([items_Rk, columns + start], 1).gather(1, order[:, :k])
    return items_Rk.masked_fill(best_Rk == -torch.inf, -1).cpu(), best_Rk.cpu()


def _tile_top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and columns of the k largest per row, by ascending column; of ties across the edge the first are in."""
    k = min(k, scores.shape[1])
    values, columns = scores.topk(k, dim=1)
    last = values[:, -1:]
    is_cut = ((scores >= last).sum(1) > k) & (last[:, 0] > -torch.inf)
    if bool(is_cut.any()):
        columns[is_cut] = scores[is_cut].sort(dim=1, descending=True, stable=True).indices[:, :k]
    columns = columns.sort(dim=1).values
    return scores.gather(1, columns), columns


def _contenders(scores: Tensor, least_Rk: Tensor) -> tuple[Tensor, Tensor]:
    """Values and columns of what exceeds the last of `least_Rk` in each row, by ascending column, filled up with −inf.

    Where that is much, the k largest of each row stand for it.
    """
    least_R1 = least_Rk[:, -1:]
    grouped = scores.unflatten(1, (-1, _GROUPS))  # every 64th column is one group: the maxima take one fast pass
    is_hit_RG = grouped.amax(1) > least_R1
    rows, groups = is_hit_RG.nonzero(as_tuple=True)
    if len(rows) > _MOST_HITS * is_hit_RG.numel():
        return _tile_top(scores, least_Rk.shape[1])
    hits, places = (grouped[rows, :, groups] > least_R1[rows]).nonzero(as_tuple=True)
    keys = (rows[hits] * scores.shape[1] + places * _GROUPS + groups[hits]).sort().values
    rows, found = keys // scores.shape[1], keys % scores.shape[1]
    counts_R = torch.bincount(rows, minlength=len(scores))
    ranks = torch.arange(len(rows), device=rows.device) - (counts_R.cumsum(0) - counts_R)[rows]
    values = scores.new_full((len(scores), int(counts_R.max())), -torch.inf)
    columns = torch.zeros_like(values, dtype=torch.int64)
    values[rows, ranks], columns[rows, ranks] = scores[rows, found], found
    return values, columns


def _block_rows(query: Query) -> int:
    return max(1, _TILE_ELEMENTS // min(query.number_of_items, _TILE_ITEMS))


class _Tiles:
    """Scores of a block of cases, a tile of items at a time, and which of them are hidden.

    The last tile begins early so that it is as wide as the others; the few items it repeats count as hidden.
    """

    def __init__(self, query: Query, seen: Seen | None, rows_R: Tensor) -> None:
        self.query = query.select(rows_R)
        self.number_of_items = query.number_of_items
        self.count = -(-self.number_of_items // _TILE_ITEMS)
        self.width = self.number_of_items
        if self.count > 1:
            self.width = -(-self.number_of_items // (self.count * _GROUPS)) * _GROUPS
        self.rows = self.items = torch.zeros(0, dtype=torch.int64)
        if seen is not None:
            self.rows, self.items = seen.select(rows_R).flatten()

    def start(self, number: int) -> int:
        """The first item of the tile."""
        return min(number * self.width, self.number_of_items - self.width)

    def scores(self, number: int) -> Tensor:
        """Scores of the tile's items, shape (R, W), to be overwritten. Raises ScoreError when one is NaN."""
        scores = self.query.scores(self.start(number), self.start(number) + self.width)
        refuse_nan(scores)
        return scores

    def hide(self, scores: Tensor, number: int, value: float) -> None:
        """Write `value` over the tile's scores of seen and of repeated items."""
        rows, columns = self.rows, self.items - self.start(number)
        if self.count > 1:
            is_here = (columns >= 0) & (columns < self.width)
            rows, columns = rows[is_here], columns[is_here]
        scores[rows, columns] = value
        scores[:, : number * self.width - self.start(number)] = value
