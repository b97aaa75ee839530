"""Recover hidden items of a window from both sides (BERT4Rec's cloze objective). B rows, L length, T targets."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem import transfer
from nextitem.batches import MASK, Batch, pad_right
from nextitem.configuration import Configuration
from nextitem.sequences import Sequences


class MaskedItem(Configuration):
    """Hidden items are always replaced by MASK; the query puts a MASK after the history."""

    name: Literal["masked_item"] = "masked_item"
    needs_causal: ClassVar[bool] = False
    """Whether the encoder must not look ahead: here it is meant to."""
    needs_mask: ClassVar[bool] = True
    """Whether the item table needs a MASK vector."""
    maximum_length: int = Field(50, ge=2)
    """Longest input L; a training window is the last L events, a query the last L − 1 and MASK."""
    mask_probability: float = Field(0.2, gt=0.0, le=1.0)
    """Share ρ of the window's items that is hidden."""
    masks: Literal["independent", "at_least_one", "exact_share"] = "independent"
    """`independent`: each item with probability ρ, so a window may draw none (2023 code); `at_least_one`: the same, and
    one item at random where none was drawn; `exact_share`: max(1, round(ρ·n)) items of n (2019 paper)."""
    force_last_probability: float = Field(0.0, ge=0.0, le=1.0)
    """Probability that a window's last item is hidden besides the others, as the query hides it."""

    def windows(self, train: Sequences) -> Sequences:
        """One window per user with at least one training event."""
        return train.select(train.lengths_U >= 1).last(self.maximum_length)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Windows with freshly drawn masks; T may be 0 when no mask was drawn at all.

        The draws are made on the CPU, wherever the windows are: they decide T, and all devices hide the same items.
        """
        items_BL, lengths_B = pad_right(windows)
        is_masked_BL = self._masked(windows.sizes_U, items_BL.shape[1], generator)
        positions_T = transfer.send(is_masked_BL.flatten().nonzero()[:, 0], items_BL.device)
        flat = items_BL.flatten()
        return Batch(
            flat.index_fill(0, positions_T, MASK).view_as(items_BL),
            lengths_B,
            positions_T,
            flat[positions_T],
            positions_T // max(1, items_BL.shape[1]),
            windows.users_U,
            host_lengths_B=windows.sizes_U,
            host_counts_B=is_masked_BL.sum(1),
        )

    def _masked(self, lengths_B: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """Which places are hidden, shape (B, L), all on the CPU."""
        columns_L = torch.arange(length)
        draws_BL = torch.rand(len(lengths_B), length, generator=generator)
        draws_BL.masked_fill_(columns_L >= lengths_B[:, None], 2.0)  # above every share: padding is never hidden
        is_masked_BL = self._choose(draws_BL, lengths_B)
        if self.force_last_probability == 0:
            return is_masked_BL
        is_forced_B = torch.rand(len(lengths_B), generator=generator) < self.force_last_probability
        return is_masked_BL | ((columns_L == lengths_B[:, None] - 1) & is_forced_B[:, None])

    def _choose(self, draws_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """Which places are hidden, given one uniform draw for each."""
        if self.masks == "exact_share":
            counts_B = (lengths_B * self.mask_probability).round().clamp_(min=1)
            return draws_BL.argsort(1).argsort(1) < counts_B[:, None]
        is_masked_BL = draws_BL < self.mask_probability
        if self.masks == "at_least_one":
            # The smallest draw is at a uniformly random place.
            lowest_B1 = draws_BL.argmin(1, keepdim=True)
            is_masked_BL = is_masked_BL.scatter(1, lowest_B1, True)
        return is_masked_BL

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """The last L − 1 events of each history, then MASK at the row's own end."""
        histories = histories.last(self.maximum_length - 1)
        inputs_BL, lengths_B = pad_right(histories, room=1)
        rows_T = torch.arange(len(histories), device=lengths_B.device)
        inputs_BL[rows_T, lengths_B] = MASK
        positions_T = rows_T * inputs_BL.shape[1] + lengths_B
        targets_T = torch.full_like(rows_T, -1) if targets_C is None else targets_C
        return Batch(
            inputs_BL, lengths_B + 1, positions_T, targets_T, rows_T, histories.users_U,
            host_lengths_B=histories.sizes_U + 1, host_counts_B=torch.ones(len(histories), dtype=torch.int64),
        )  # fmt: skip
