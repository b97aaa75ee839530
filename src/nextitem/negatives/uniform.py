"""Negatives drawn uniformly from the items that occur in training. B rows, T positions, K negatives, N items.

Exclusion is exact and needs no rejection: an allowed item is drawn by its number among the allowed ones, and the
number is turned into an id by counting how many forbidden ids lie below it.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from nextitem import transfer
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
        self._longest = int(train.sizes_U.max())
        device = train.users_U.device
        self._row_of_user = torch.full((int(train.users_U.max()) + 1,), -1, device=device).scatter_(
            0, train.users_U, torch.arange(len(train), device=device)
        )

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """The negatives of one step."""
        rows, numbers = self._forbidden_pairs(batch)
        trained, device = len(self.trained_ids), self.trained_ids.device
        if self.sharing == "batch":
            numbers_1K, _ = self._draw(torch.full((1,), trained, device=device), (trained, trained), generator)
            numbers_K = numbers_1K[0] if self.replacement and trained else numbers_1K[0, :trained]
            excluded_BK = (
                None if self.exclude == "target" else _contains(rows, numbers, numbers_K, len(batch.lengths_B))
            )
            return Drawn(self.trained_ids[numbers_K], "batch", batch.rows_T, excluded_BK)
        forbidden = _Forbidden(rows, numbers, len(batch.lengths_B), trained)
        allowed_B = trained - forbidden.counts_B
        rows = batch.rows_T if self.sharing == "position" else torch.arange(len(allowed_B), device=device)
        # On a GPU how many are allowed is not waited for: it is known that they are no fewer than these.
        bounds = None if not transfer.is_elsewhere(device) else (trained - self._most_forbidden(batch), trained)
        numbers_RK, excluded_RK = self._draw(allowed_B[rows], bounds, generator)
        ids_RK = self.trained_ids[forbidden.skip(numbers_RK, rows)]
        return Drawn(ids_RK, self.sharing, batch.rows_T, excluded_RK, batch.counts_B)

    def _forbidden_pairs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(row, number of the item) of everything that no set of the row may contain; repeats allowed.

        A number beyond the trained items stands for nothing.
        """
        if self.exclude == "target":
            nothing = batch.rows_T[:0]
            return nothing, nothing
        if self.exclude == "history":
            rows, items = self.train.select(self._row_of_user[batch.users_B]).flatten()
        else:
            rows, columns = transfer.places(batch.lengths_B, int(batch.sizes_B.sum()))
            inputs, rows = batch.inputs_BL[rows, columns], torch.cat([rows, batch.rows_T])
            # A hidden place holds no item; the one it hides is a target.
            numbers = self.number_N[inputs.clamp_min(0)].masked_fill(inputs < 0, len(self.trained_ids))
            return rows, torch.cat([numbers, self.number_N[batch.targets_T]])
        return rows, self.number_N[items]

    def _most_forbidden(self, batch: Batch) -> int:
        """At least as many items as any row of the batch excludes, without asking the device."""
        if self.exclude == "target":
            return 0
        return self._longest if self.exclude == "history" else int((batch.sizes_B + batch.counts_B).max())

    def _draw(
        self, allowed_R: Tensor, bounds: tuple[int, int] | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """(numbers below allowed_R as (R, K), where a row has run out of items as (R, K) or None).

        `bounds` enclose allowed_R; None: they are read from it, and so is whether a row has run out.
        """
        shape = (len(allowed_R), self.count)
        if self.replacement:
            draws_RK = torch.rand(shape, generator=generator, device=allowed_R.device, dtype=torch.float64)
            numbers_RK = (draws_RK * allowed_R[:, None]).long()
            is_out_RK = (allowed_R == 0)[:, None].expand(shape)
        else:
            numbers_RK, is_repeat_RK = _draw_distinct(allowed_R, self.count, bounds, generator)
            is_out_RK = is_repeat_RK | (torch.arange(self.count, device=allowed_R.device) >= allowed_R[:, None])
        has_run_out = transfer.is_elsewhere(allowed_R.device) or bool(is_out_RK.any())
        return numbers_RK.masked_fill(is_out_RK, 0), is_out_RK if has_run_out else None


class _Forbidden:
    """Forbidden numbers per row, sorted, as one flat list of keys row · (M + 1) + number; repeats count once.

    No shape depends on how many repeats there are: a GPU would have to be waited for.
    """

    def __init__(self, rows: Tensor, numbers: Tensor, number_of_rows: int, trained: int) -> None:
        self.stride = trained + 1
        keys = (rows * self.stride + numbers).sort().values
        counts = keys % self.stride < trained
        counts[1:] &= keys[1:] != keys[:-1]
        self.distinct = pad(counts.cumsum(0), (1, 0))
        """How many distinct forbidden numbers there are among the first keys."""
        edges = torch.arange(number_of_rows + 1, device=keys.device) * self.stride
        distinct_at_edges = self.distinct[torch.searchsorted(keys, edges)]
        self.starts_B, self.counts_B = distinct_at_edges[:-1], distinct_at_edges.diff()
        # The j-th forbidden number f (j from 0) has f − j allowed ones below it.
        self.below = keys - (self.distinct[1:] - 1 - self.starts_B[rows.sort().values])

    def skip(self, numbers_RK: Tensor, rows_R: Tensor) -> Tensor:
        """The number among all trained items of each number among the allowed ones of its row."""
        wanted_RK = numbers_RK + (rows_R * self.stride)[:, None]
        found_RK: Tensor = self.distinct[torch.searchsorted(self.below, wanted_RK, right=True)]
        # Where all are forbidden there is none to be found; such a set is excluded as a whole, and any number will do.
        return (numbers_RK + found_RK - self.starts_B[rows_R][:, None]).clamp_(max=self.stride - 2)


def _contains(rows: Tensor, numbers: Tensor, drawn_K: Tensor, number_of_rows: int) -> Tensor:
    """Whether each of the drawn numbers is among the forbidden pairs (row, number) of each row, shape (B, K)."""
    sorted_K = drawn_K.sort().values
    # There are far fewer forbidden pairs than rows times drawn numbers, so each of the pairs is looked for. A number
    # that was drawn twice is found at its first place; the column after the last takes what is not found at all.
    first = torch.searchsorted(sorted_K, numbers)
    is_found = sorted_K[first.clamp(max=len(drawn_K) - 1)] == numbers
    is_in_BK = torch.zeros(number_of_rows, len(drawn_K) + 1, dtype=torch.bool, device=drawn_K.device)
    is_in_BK[rows, first.where(is_found, len(drawn_K))] = True
    return is_in_BK.index_select(1, torch.searchsorted(sorted_K, drawn_K))


def _draw_distinct(
    allowed_R: Tensor, count: int, bounds: tuple[int, int] | None, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(a uniformly random subset per row of the numbers below allowed_R, where it is not one), shape (R, K) each.

    Places beyond allowed_R are arbitrary. `bounds` are those of allowed_R; None: they are read from it.

    Few out of many: numbers are drawn one after another and repeats skipped, which favours none of them (sorting the
    draws and cutting would favour small ones). Many out of few, or too many repeats: a random order of all is cut.
    """
    device = allowed_R.device
    least, most = bounds or (int(allowed_R.min()), int(allowed_R.max()))
    surplus = count + count // 4 + 64
    if surplus * 4 <= least:
        draws_RM = torch.rand((len(allowed_R), surplus), generator=generator, device=device, dtype=torch.float64)
        numbers_RM = (draws_RM * allowed_R[:, None]).long()
        sorted_RM, order_RM = numbers_RM.sort(dim=1, stable=True)
        is_repeat_RM = torch.zeros_like(numbers_RM, dtype=torch.bool)
        is_repeat_RM.scatter_(1, order_RM[:, 1:], sorted_RM[:, 1:] == sorted_RM[:, :-1])
        # The surplus is over ten standard deviations more than the repeats to be expected: where it would have to be
        # waited for to see that they were not too many, those left are excluded instead.
        if bounds is not None or bool(((~is_repeat_RM).sum(1) >= count).all()):
            first_RK = is_repeat_RM.to(torch.int8).argsort(dim=1, stable=True)[:, :count]
            return numbers_RM.gather(1, first_RK), is_repeat_RM.gather(1, first_RK)
    keys_RM = torch.rand((len(allowed_R), max(most, count)), generator=generator, device=device, dtype=torch.float64)
    keys_RM.masked_fill_(torch.arange(keys_RM.shape[1], device=device) >= allowed_R[:, None], 2.0)
    numbers_RK = keys_RM.argsort(dim=1)[:, :count]
    return numbers_RK, torch.zeros_like(numbers_RK, dtype=torch.bool)
