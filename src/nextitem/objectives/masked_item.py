"""Recover hidden items of a window from both sides (BERT4Rec's cloze objective). B rows, L length, T targets."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

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
        """Windows with freshly drawn masks; T may be 0 when no mask was drawn at all."""
        items_BL, lengths_B = pad_right(windows)
        columns_L = torch.arange(items_BL.shape[1], device=lengths_B.device)
        draws_BL = torch.rand(items_BL.shape, generator=generator, device=items_BL.device)
        draws_BL.masked_fill_(columns_L >= lengths_B[:, None], 2.0)  # above every share: padding is never hidden
        is_masked_BL = self._choose(draws_BL, lengths_B)
        if self.force_last_probability > 0:
            is_forced_B = torch.rand(len(items_BL), generator=generator, device=items_BL.device)
            is_last_BL = columns_L == lengths_B[:, None] - 1
            is_masked_BL = is_masked_BL | (is_last_BL & (is_forced_B < self.force_last_probability)[:, None])
        rows_T, columns_T = is_masked_BL.nonzero(as_tuple=True)
        return Batch(
            items_BL.masked_fill(is_masked_BL, MASK),
            lengths_B,
            rows_T * items_BL.shape[1] + columns_T,
            items_BL[rows_T, columns_T],
            rows_T,
            windows.users_U,
        )

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
        inputs_BL, lengths_B = pad_right(histories.last(self.maximum_length - 1), room=1)
        rows_T = torch.arange(len(histories), device=lengths_B.device)
        inputs_BL[rows_T, lengths_B] = MASK
        positions_T = rows_T * inputs_BL.shape[1] + lengths_B
        targets_T = torch.full_like(rows_T, -1) if targets_C is None else targets_C
        return Batch(inputs_BL, lengths_B + 1, positions_T, targets_T, rows_T, histories.users_U)
