"""The best items of a block of cases: bounded by maxima of groups, then looked for in few of these.

R rows, W items of a tile, k best, G groups of n columns in a tile, H groups that are looked into, E items found there.

The k-th largest of the maxima of disjoint groups is no more than the k-th largest score, since k items reach it. So
whatever is listed stands in a group whose maximum reaches that bound, and of the next tile's groups ever fewer do.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from nextitem.evaluation.tiles import Tiles

_MOST_COLUMNS = 16  # of a group
_MOST_FOUND = 16  # times as many items as are asked for are found before the best of them are chosen


def best_of(tiles: Tiles, k: int, is_out_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """(items_Rk, scores_Rk) of a block, best first, those that `is_out_N` marks left out.

    Equal scores are ordered by item; −1 and −inf where there are fewer than k. Raises ScoreError when a score is NaN.
    """
    search: _Search | None = None
    for number in range(tiles.count):
        start, scores = tiles.start(number), tiles.scores(number)
        if is_out_N is not None:
            scores.masked_fill_(is_out_N[start : start + tiles.width].to(scores.device), -torch.inf)
        tiles.hide(scores, number, -torch.inf)
        search = _Search(scores, k, tiles.number_of_items) if search is None else search
        search.add(scores, start)
    if search is None:
        raise ValueError("a catalogue has at least one item")
    best = search.best()
    return best.items_Rk.masked_fill(best.scores_Rk == -torch.inf, -1).cpu(), best.scores_Rk.cpu()


def _columns(number_of_items: int, k: int) -> int:
    """n, a power of two: looking through k groups of it then takes about as long as comparing all maxima."""
    columns = 1
    while columns < _MOST_COLUMNS and 4 * columns * columns * k <= number_of_items:
        columns *= 2
    return columns


@dataclass(frozen=True)
class _Best:
    """The k best of what was looked through, in their order."""

    scores_Rk: Tensor
    items_Rk: Tensor


@dataclass(frozen=True)
class _Found:
    """Items that may be among the best, by row and item."""

    row_E: Tensor
    items_E: Tensor
    scores_E: Tensor


class _Search:
    """What is known of a block's best items after some of its tiles."""

    def __init__(self, like_RW: Tensor, k: int, number_of_items: int) -> None:
        self._tops_Rk = like_RW.new_full((len(like_RW), k), -torch.inf)  # the largest of the maxima, in no order
        self._best = _Best(self._tops_Rk, torch.full_like(self._tops_Rk, -1, dtype=torch.int64))
        self._found: list[_Found] = []
        self._found_count = 0
        self._columns = _columns(number_of_items, k)

    def add(self, scores_RW: Tensor, start: int) -> None:
        """Look through a tile that begins with item `start`; tiles come in the order of their items."""
        missing = -scores_RW.shape[1] % self._columns
        padded = pad(scores_RW, (0, missing), value=-torch.inf) if missing else scores_RW
        scores_RnG = padded.unflatten(1, (self._columns, -1))  # every G-th column is one group: one fast pass
        maxima_RG = scores_RnG.amax(1)
        self._tops_Rk = _largest(torch.cat([self._tops_Rk, maxima_RG], 1), self._tops_Rk.shape[1])
        bound_R1 = self._tops_Rk[:, :1].clamp(min=torch.finfo(scores_RW.dtype).min)  # what scores −inf is not listed
        row_H, group_H = _places(maxima_RG >= bound_R1)
        scores_Hn = scores_RnG[row_H, :, group_H]
        place_E, column_E = _places(scores_Hn >= bound_R1[row_H])
        items_E = column_E * maxima_RG.shape[1] + group_H[place_E] + start
        self._found.append(_Found(row_H[place_E], items_E, scores_Hn[place_E, column_E]))
        self._found_count += len(items_E)
        if self._found_count > _MOST_FOUND * self._tops_Rk.numel():
            self.best()

    def best(self) -> _Best:
        """The best of all that was looked through."""
        row_E, items_E, scores_E = (
            torch.cat(parts)
            for parts in zip(*((one.row_E, one.items_E, one.scores_E) for one in self._found), strict=True)
        )
        is_left_E = scores_E >= self._tops_Rk[row_E, 0]
        self._found = [_Found(row_E[is_left_E], items_E[is_left_E], scores_E[is_left_E])]
        self._best = _merged(self._best, self._found[0], self._tops_Rk[:, 0])
        self._found, self._found_count = [_Found(row_E[:0], items_E[:0], scores_E[:0])], 0
        return self._best


def _merged(best: _Best, found: _Found, bound_R: Tensor) -> _Best:
    """The best of these and of others, all of later items, of which none is below its row's bound."""
    rows, k = best.scores_Rk.shape
    row_E, items_E, scores_E = found.row_E, found.items_E, found.scores_E
    order_E = _order(row_E * (int(items_E.max()) + 1 if len(items_E) else 1) + items_E)
    row_E, items_E, scores_E = row_E[order_E], items_E[order_E], scores_E[order_E]
    if len(row_E) > 4 * rows * k:  # of those that tie with the bound the first k of a row are enough
        is_tied_E = scores_E == bound_R[row_E]
        before_E = is_tied_E.cumsum(0) - 1
        starts_R = torch.searchsorted(row_E, torch.arange(rows, device=row_E.device)).clamp(max=len(row_E) - 1)
        first_R = before_E[starts_R] + (~is_tied_E[starts_R]).long()
        is_kept_E = ~is_tied_E | (before_E - first_R[row_E] < k)
        row_E, items_E, scores_E = row_E[is_kept_E], items_E[is_kept_E], scores_E[is_kept_E]
    counts_R = torch.bincount(row_E, minlength=rows)
    place_E = k + torch.arange(len(row_E), device=row_E.device) - (counts_R.cumsum(0) - counts_R)[row_E]
    more = int(counts_R.max())
    scores, items = pad(best.scores_Rk, (0, more), value=-torch.inf), pad(best.items_Rk, (0, more))
    scores[row_E, place_E], items[row_E, place_E] = scores_E, items_E
    # By item before, so that a stable sort orders equal scores by item.
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    return _Best(scores[:, :k], items.gather(1, order[:, :k]))


def _places(is_there: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, columns) of what is true of a matrix, in order."""
    if is_there.device.type != "cpu":
        there = is_there.nonzero()
        return there[:, 0], there[:, 1]
    flat = np.flatnonzero(is_there.numpy())  # of a few among many several times faster than torch's
    rows = flat // max(1, is_there.shape[1])
    return torch.from_numpy(rows), torch.from_numpy(flat - rows * is_there.shape[1])


def _largest(values: Tensor, k: int) -> Tensor:
    """The k largest of each row, the smallest of them first."""
    if values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64):
        # numpy's selection is vectorised: a tenth of the time of torch's.
        place = values.shape[1] - k
        return torch.from_numpy(np.partition(values.numpy(), place, axis=1)[:, place:])
    return values.topk(k, dim=1).values.flip(1)


def _order(keys_E: Tensor) -> Tensor:
    """How to sort numbers that all differ."""
    return torch.from_numpy(np.argsort(keys_E.numpy())) if keys_E.device.type == "cpu" else keys_E.argsort()
