"""Scores of a block of cases, a tile of the catalogue at a time. C cases.

R rows of a block are scored against W items of a tile, few enough to stay in a cache. On the CPU each thread takes
whole blocks: operations of this size do not share well, and what a block is does not depend on how many threads there
are.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.compute.threads import side_by_side
from nextitem.evaluation.hiding import Seen
from nextitem.evaluation.scoring import Query, refuse_nan

_Found = TypeVar("_Found")
_TILE_ELEMENTS = 1 << 19  # scores of a tile: 2 MB of float32
_WIDE_ELEMENTS = 1 << 18  # of a tile that is as wide as its few rows allow
_TILE_ITEMS = 4096  # fewer rows and more items cost the product up to half of its speed
_MULTIPLE = 64  # of which a tile is as many wide where there are several; divides _TILE_ITEMS


def of_blocks(query: Query, order_C: Tensor, work: Callable[[Tensor], _Found]) -> list[_Found]:
    """What `work` returns for each block of adjacent cases of `order_C`."""
    blocks = [rows for rows in order_C.split(_block_rows(query)) if len(rows)]
    is_shared = min(torch.get_num_threads(), len(blocks)) > 1
    if is_shared and transfer.is_asynchronous(Tiles(query, None, blocks[0]).scores(0).device):
        return [work(rows) for rows in blocks]
    return side_by_side(work, blocks)


def _block_rows(query: Query) -> int:
    return max(1, _TILE_ELEMENTS // min(query.number_of_items, _TILE_ITEMS))


class Tiles:
    """Scores of a block of cases, a tile of items at a time, and which of them are hidden.

    The last tile begins early so that it is as wide as the others; the few items it repeats count as hidden.
    """

    def __init__(self, query: Query, seen: Seen | None, rows_R: Tensor, *, is_wide: bool = False) -> None:
        """With `is_wide` few rows have wide tiles, where time goes by how many tiles there are."""
        self.query = query.select(rows_R)
        self.number_of_items = query.number_of_items
        most = max(_TILE_ITEMS, _WIDE_ELEMENTS // max(1, len(rows_R))) if is_wide else _TILE_ITEMS
        self.count = -(-self.number_of_items // most)
        self.width = self.number_of_items
        if self.count > 1:
            self.width = -(-self.number_of_items // (self.count * _MULTIPLE)) * _MULTIPLE
        self.rows = self.items = torch.zeros(0, dtype=torch.int64)
        if seen is not None:
            self.rows, self.items = seen.select(rows_R).flatten()
        self._hidden = self._by_tile()

    def start(self, number: int) -> int:
        """The first item of the tile."""
        return min(number * self.width, self.number_of_items - self.width)

    def scores(self, number: int) -> Tensor:
        """Scores of the tile's items, shape (R, W), to be overwritten. Raises ScoreError when one is NaN."""
        scores = self.query.scores(self.start(number), self.start(number) + self.width)
        refuse_nan(scores)
        return scores

    def listable(self, number: int, is_out_N: Tensor | None) -> Tensor:
        """As `scores`, with −inf for what is not to be listed: hidden, repeated, or marked by `is_out_N`.

        Raises ScoreError when one of these is NaN; whether one of the others is, is for the caller to find.
        """
        start = self.start(number)
        scores = self.query.scores(start, start + self.width)
        if is_out_N is not None:
            refuse_nan(scores)
            scores.masked_fill_(is_out_N[start : start + self.width].to(scores.device), -torch.inf)
        refuse_nan(scores[self._hidden[number]])
        self.hide(scores, number, -torch.inf)
        return scores

    def hide(self, scores: Tensor, number: int, value: float) -> None:
        """Write `value` over the tile's scores of seen and of repeated items."""
        scores[self._hidden[number]] = value
        if repeated := number * self.width - self.start(number):
            scores[:, :repeated] = value

    def _by_tile(self) -> list[tuple[Tensor, Tensor]]:
        """(rows, columns) of what is hidden, in each tile; what the last one repeats is in the one before."""
        if self.count == 1:
            return [(self.rows, self.items)]
        number = self.items // self.width
        counts, order = torch.bincount(number, minlength=self.count).tolist(), number.argsort(stable=True)
        tiles = zip(self.rows[order].split(counts), self.items[order].split(counts), strict=True)
        return [(rows, items - self.start(number)) for number, (rows, items) in enumerate(tiles)]
