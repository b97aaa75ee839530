"""Negatives drawn uniformly from the items that occur in training. B rows, T positions, K negatives, N items.

Exclusion is exact and needs no rejection: an allowed item is drawn by its number among the allowed ones, and the
number is turned into an id by counting how many forbidden ids lie below it.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem.batches import Batch, Drawn, Sharing
from nextitem.configuration import Configuration
from nextitem.sequences import Sequences

Exclude = Literal["target", "window", "history"]


class Uniform(Configuration):
    """How many negatives, who shares them, and what they must not be."""

    name: Literal["uniform"] = "uniform"
    count: int = Field(1, ge=1)
    """Number of negatives K in a set."""
    sharing: Sharing = "position"
    """A fresh set per `position`, one per `sequence` shared by its positions, or one for the whole `batch`."""
    replacement: bool = True
    """Whether an item may be drawn twice into one set."""
    exclude: Exclude = "window"
    """Never counted as a negative: the position's own `target` only, any item of the `window` (2023 code), or any item
    of the user's whole training `history`."""

    def build(self, train: Sequences) -> "UniformNegatives":
        """The sampler over the items of `train`."""
        return UniformNegatives(train, self.count, self.sharing, self.replacement, self.exclude)


class UniformNegatives:
    """Draws sets of negatives; where fewer items are allowed than asked for, the set is filled with excluded ids."""

    def __init__(self, train: Sequences, count: int, sharing: Sharing, replacement: bool, exclude: Exclude) -> None:
        counts_N = train.counts()
        self.trained_ids = counts_N.nonzero()[:, 0]
        # Number of each item among the trained ones; meaningless, and never asked for, where an item is not trained.
        self.number_N = (counts_N > 0).cumsum(0) - 1
        self.count, self.sharing, self.replacement, self.exclude = count, sharing, replacement, exclude
        self.train = train
        device = train.users_U.device
        self._row_of_user = torch.full((int(train.users_U.max()) + 1,), -1, device=device).scatter_(
            0, train.users_U, torch.arange(len(train), device=device)
        )

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """The negatives of one step."""
        forbidden = _Forbidden(*self._forbidden_pairs(batch), len(batch.lengths_B), len(self.trained_ids))
        if self.sharing == "batch":
            count = torch.tensor([len(self.trained_ids)], device=self.trained_ids.device)
            numbers_1K, is_out_1K = self._draw(count, generator)
            numbers_K = numbers_1K[0] if is_out_1K is None else numbers_1K[~is_out_1K]
            excluded_BK = None if self.exclude == "target" else forbidden.contains(numbers_K)
            return Drawn(self.trained_ids[numbers_K], "batch", batch.rows_T, excluded_BK)
        allowed_B = len(self.trained_ids) - forbidden.counts_B
        rows = batch.rows_T if self.sharing == "position" else torch.arange(len(allowed_B), device=allowed_B.device)
        numbers_RK, excluded_RK = self._draw(allowed_B[rows], generator)
        ids_RK = self.trained_ids[forbidden.skip(numbers_RK, rows)]
        return Drawn(ids_RK, self.sharing, batch.rows_T, excluded_RK)

    def _forbidden_pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(row, number of the item) of everything that no set of the row may contain; repeats allowed."""
        if self.exclude == "target":
            nothing = batch.rows_T[:0]
            return nothing, nothing
        if self.exclude == "history":
            rows, items = self.train.select(self._row_of_user[batch.users_B]).flatten()
        else:
            is_item_BL = batch.inputs_BL >= 0
            rows = torch.cat([is_item_BL.nonzero()[:, 0], batch.rows_T])
            items = torch.cat([batch.inputs_BL[is_item_BL], batch.targets_T])
        return rows, self.number_N[items]

    def _draw(self, allowed_R: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """(numbers below allowed_R as (R, K), where a row has run out of items as (R, K) or None)."""
        shape = (len(allowed_R), self.count)
        if self.replacement:
            draws_RK = torch.rand(shape, generator=generator, device=allowed_R.device, dtype=torch.float64)
            numbers_RK = (draws_RK * allowed_R[:, None]).long()
            is_out_RK = (allowed_R == 0)[:, None].expand(shape)
        else:
            numbers_RK = _draw_distinct(allowed_R, self.count, generator)
            is_out_RK = torch.arange(self.count, device=allowed_R.device) >= allowed_R[:, None]
        return numbers_RK.masked_fill(is_out_RK, 0), is_out_RK if bool(is_out_RK.any()) else None


class _Forbidden:
    """Forbidden numbers per row, sorted, as one flat list of keys row · (M + 1) + number."""

    def __init__(self, rows: Tensor, numbers: Tensor, number_of_rows: int, trained: int) -> None:
        self.stride = trained + 1
        self.keys = torch.unique(rows * self.stride + numbers)
        rows = self.keys // self.stride
        self.counts_B = torch.bincount(rows, minlength=number_of_rows)
        self.starts_B = self.counts_B.cumsum(0) - self.counts_B
        # The j-th forbidden number f (j from 0) has f − j allowed ones below it.
        self.below = self.keys - (torch.arange(len(rows), device=rows.device) - self.starts_B[rows])

    def contains(self, numbers_K: Tensor) -> Tensor:
        """Whether each number is forbidden in each row, shape (B, K)."""
        is_in_BK = torch.zeros(len(self.counts_B), len(numbers_K), dtype=torch.bool, device=numbers_K.device)
        sorted_K, order_K = numbers_K.sort()
        # There are far fewer forbidden pairs than rows times numbers, so each of the pairs is looked for.
        rows, numbers = self.keys // self.stride, self.keys % self.stride
        first, last = torch.searchsorted(sorted_K, numbers), torch.searchsorted(sorted_K, numbers, right=True)
        hits = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), last - first)
        offsets = torch.arange(len(hits), device=rows.device) - ((last - first).cumsum(0) - (last - first))[hits]
        is_in_BK[rows[hits], order_K[first[hits] + offsets]] = True
        return is_in_BK

    def skip(self, numbers_RK: Tensor, rows_R: Tensor) -> Tensor:
        """The number among all trained items of each number among the allowed ones of its row."""
        wanted_RK = numbers_RK + (rows_R * self.stride)[:, None]
        found_RK: Tensor = torch.searchsorted(self.below, wanted_RK, right=True)
        # Where all are forbidden there is none to be found; such a set is excluded as a whole, and any number will do.
        return (numbers_RK + found_RK - self.starts_B[rows_R][:, None]).clamp_(max=self.stride - 2)


def _draw_distinct(allowed_R: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """A uniformly random subset per row of the numbers below allowed_R, shape (R, K); places beyond it are arbitrary.

    Few out of many: numbers are drawn one after another and repeats skipped, which favours none of them (sorting the
    draws and cutting would favour small ones). Many out of few, or too many repeats: a random order of all is cut.
    """
    device, most = allowed_R.device, int(allowed_R.max())
    surplus = count + count // 4 + 64
    if surplus * 4 <= int(allowed_R.min()):
        draws_RM = torch.rand((len(allowed_R), surplus), generator=generator, device=device, dtype=torch.float64)
        numbers_RM = (draws_RM * allowed_R[:, None]).long()
        sorted_RM, order_RM = numbers_RM.sort(dim=1, stable=True)
        is_repeat_RM = torch.zeros_like(numbers_RM, dtype=torch.bool)
        is_repeat_RM.scatter_(1, order_RM[:, 1:], sorted_RM[:, 1:] == sorted_RM[:, :-1])
        if bool(((~is_repeat_RM).sum(1) >= count).all()):
            first_RK = is_repeat_RM.to(torch.int8).argsort(dim=1, stable=True)[:, :count]
            return numbers_RM.gather(1, first_RK)
    keys_RM = torch.rand((len(allowed_R), max(most, count)), generator=generator, device=device, dtype=torch.float64)
    keys_RM.masked_fill_(torch.arange(keys_RM.shape[1], device=device) >= allowed_R[:, None], 2.0)
    return keys_RM.argsort(dim=1)[:, :count]
