"""The best items of a block of cases: bounded by maxima of groups, then looked for in few of these.

R rows, W items of a tile, k best, G groups of n columns in a tile, H groups that are kept, E items found there.

The k-th largest of the maxima of disjoint groups is no more than the k-th largest score, since k items reach it. So
whatever is listed stands in a group whose maximum reaches that bound, and of the next tile's groups ever fewer do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from nextitem.evaluation.scoring import refuse_nan
from nextitem.evaluation.tiles import Tiles

_MOST_COLUMNS = 16  # of a group
_MOST_KEPT = 4  # times as many groups as items are asked for are kept before the best of them are chosen
_SORTED = 512  # up to so many numbers a row are sorted by numpy sooner than it finds the largest of them


def best_of(tiles: Tiles, k: int, is_out_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """(items_Rk, scores_Rk) of a block, best first, those that `is_out_N` marks left out.

    Equal scores are ordered by item; −1 and −inf where there are fewer than k. Raises ScoreError when a score is NaN.
    """
    search: _Search | None = None
    for number in range(tiles.count):
        scores = tiles.listable(number, is_out_N)
        search = _Search(scores, k, tiles.number_of_items) if search is None else search
        search.add(scores, tiles.start(number))
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
    """The k best of what was looked through, in their order; −inf where there are fewer."""

    scores_Rk: Tensor
    items_Rk: Tensor


@dataclass(frozen=True)
class _Found:
    """Items that may be among the best, by row and item."""

    row_E: Tensor
    items_E: Tensor
    scores_E: Tensor


@dataclass(frozen=True)
class _Groups:
    """Groups of a tile that reached the bound of their time, by row."""

    row_H: Tensor
    maxima_H: Tensor
    items_H: Tensor
    """The item of each one's first column; the next columns are `apart` items further each."""
    scores_Hn: Tensor
    apart: int

    def reaching(self, bound_R: Tensor) -> _Found:
        """Their items that reach the bound of now."""
        left = (self.maxima_H >= bound_R[self.row_H]).nonzero()[:, 0]  # most groups do so no more
        row_H, items_H, scores_Hn = self.row_H[left], self.items_H[left], self.scores_Hn[left]
        place_E, column_E = _places(scores_Hn, bound_R[row_H])
        items_E = items_H[place_E] + column_E * self.apart
        return _Found(row_H[place_E], items_E, scores_Hn[place_E, column_E])


def _joined(groups: Sequence[_Groups]) -> _Groups:
    """Those of several tiles, all of one width, as if of one."""
    row_H, maxima_H, items_H, scores_Hn = (
        torch.cat(parts)
        for parts in zip(*((one.row_H, one.maxima_H, one.items_H, one.scores_Hn) for one in groups), strict=True)
    )
    return _Groups(row_H, maxima_H, items_H, scores_Hn, groups[0].apart)


class _Search:
    """What is known of a block's best items after some of its tiles.

    Groups are kept as they come, and what is in them is looked at last: by then the bound is higher.
    """

    def __init__(self, like_RW: Tensor, k: int, number_of_items: int) -> None:
        self._tops_Rk = like_RW.new_full((len(like_RW), k), -torch.inf)  # the largest of the maxima, the least first
        self._best: _Best | None = None
        self._groups: list[_Groups] = []
        self._kept = 0
        self._columns = _columns(number_of_items, k)

    def add(self, scores_RW: Tensor, start: int) -> None:
        """Look through a tile that begins with item `start`; tiles come in the order of their items.

        Raises ScoreError when a score is NaN.
        """
        missing = -scores_RW.shape[1] % self._columns
        padded = pad(scores_RW, (0, missing), value=-torch.inf) if missing else scores_RW
        scores_RnG = padded.unflatten(1, (self._columns, -1))  # every G-th column is one group: one fast pass
        maxima_RG = scores_RnG.amax(1)
        refuse_nan(maxima_RG)  # the maximum of a group with a NaN is NaN
        self._tops_Rk = _largest(torch.cat([self._tops_Rk, maxima_RG], 1), self._tops_Rk.shape[1])
        row_H, group_H = _places(maxima_RG, self._bound_R)
        maxima_H, scores_Hn = maxima_RG[row_H, group_H], scores_RnG[row_H, :, group_H]
        self._groups.append(_Groups(row_H, maxima_H, group_H + start, scores_Hn, maxima_RG.shape[1]))
        self._kept += len(row_H)
        if self._kept > _MOST_KEPT * self._tops_Rk.numel():
            self.best()

    def best(self) -> _Best:
        """The best of all that was looked through."""
        if self._groups or self._best is None:
            found = _joined(self._groups).reaching(self._bound_R)
            self._best = _merged(self._best, found, self._bound_R, self._tops_Rk.shape[1])
            self._groups, self._kept = [], 0
        return self._best

    @property
    def _bound_R(self) -> Tensor:
        """What is listed scores as much or more; what scores −inf is not listed."""
        return self._tops_Rk[:, 0].clamp(min=torch.finfo(self._tops_Rk.dtype).min)


def _merged(best: _Best | None, found: _Found, bound_R: Tensor, k: int) -> _Best:
    """The k best of these and of others, all of later items, of which none is below its row's bound."""
    rows, row_E, items_E, scores_E = len(bound_R), found.row_E, found.items_E, found.scores_E
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
    place_E = torch.arange(len(row_E), device=row_E.device) - (counts_R.cumsum(0) - counts_R)[row_E]
    width = int(counts_R.max()) if best is not None else max(k, int(counts_R.max()))
    scores, items = scores_E.new_full((rows, width), -torch.inf), items_E.new_zeros(rows, width)
    scores[row_E, place_E], items[row_E, place_E] = scores_E, items_E
    if best is not None:
        scores, items = torch.cat([best.scores_Rk, scores], 1), torch.cat([best.items_Rk, items], 1)
    return _Best(*_best_first(scores, items, k))


def _best_first(scores_RX: Tensor, items_RX: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(scores_Rk, items_Rk): the best of each row in their order. Of equal scores the first is the first to come,
    which has the smallest item.
    """
    if scores_RX.dtype != torch.float32 or scores_RX.device.type != "cpu":
        scores_RX, order_RX = scores_RX.sort(dim=1, descending=True, stable=True)
        return scores_RX[:, :k], items_RX.gather(1, order_RX[:, :k])
    # Numbers that all differ and rise as scores fall, then as items rise: numpy sorts them many times faster than torch
    # does pairs. The bits of floats that are not negative are in the order of their numbers, the others' backwards.
    bits = (scores_RX + 0.0).numpy().view(np.int32)  # −0 is 0 here
    keys = (~_flipped(bits)).astype(np.int64) << 32 | items_RX.numpy()
    keys.sort(axis=1)
    keys = keys[:, :k]
    scores = _flipped(~(keys >> 32).astype(np.int32)).view(np.float32)
    return torch.from_numpy(scores), torch.from_numpy(keys & 0xFFFFFFFF)


def _flipped(bits: "np.typing.NDArray[np.int32]") -> "np.typing.NDArray[np.int32]":
    """Bits of floats as whole numbers in their order, and back."""
    return bits ^ (bits >> 31 & np.int32(0x7FFFFFFF))


def _places(values_XY: Tensor, bound_X: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, columns) of what reaches its row's bound in a matrix, in order."""
    if values_XY.device.type != "cpu":
        there = (values_XY >= bound_X[:, None]).nonzero()
        return there[:, 0], there[:, 1]
    # Of a few among many several times faster than torch's.
    flat = np.flatnonzero(values_XY.numpy() >= bound_X.numpy()[:, None])
    rows = flat // max(1, values_XY.shape[1])
    return torch.from_numpy(rows), torch.from_numpy(flat - rows * values_XY.shape[1])


def _largest(values: Tensor, k: int) -> Tensor:
    """The k largest of each row, the smallest of them first."""
    if values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64):
        # numpy's sorting and selection are vectorised: a tenth of the time of torch's.
        place = values.shape[1] - k
        if values.shape[1] <= _SORTED:
            return torch.from_numpy(np.sort(values.numpy(), axis=1)[:, place:])
        return torch.from_numpy(np.partition(values.numpy(), place, axis=1)[:, place:])
    return values.topk(k, dim=1).values.flip(1)


def _order(keys_E: Tensor) -> Tensor:
    """How to sort numbers that all differ."""
    return torch.from_numpy(np.argsort(keys_E.numpy())) if keys_E.device.type == "cpu" else keys_E.argsort()
