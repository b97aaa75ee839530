"""Recover hidden items of a window from both sides (BERT4Rec's cloze objective). B rows, L length, T targets."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import MASK, Batch
from nextitem.model.objectives.objective import Objective
from nextitem.model.rows import hide, may_be_asked, pad_right, pad_times


class MaskedItem(Objective):
    """Hidden items are always replaced by MASK; the query puts a MASK after the history."""

    name: Literal["masked_item"] = "masked_item"
    needs_causal: ClassVar[bool] = False  # it is meant to look ahead
    maximum_length: int = Field(50, ge=2)
    """Longest input L; a training window is the last L events, a query the last L − 1 and MASK."""
    stride: int | None = Field(None, ge=1)
    """Events between the windows of a longer history, counted back from its newest one; none: only the last window."""
    copies: int = Field(1, ge=1)
    """How often an epoch has each window with masks drawn anew."""
    last_copies: int = Field(0, ge=0)
    """How often an epoch has each window besides with its last item hidden and no other (1 beside 10 copies: 2019)."""
    mask_probability: float = Field(0.2, gt=0.0, le=1.0)
    """Share ρ of the window's items that is hidden."""
    masks: Literal["independent", "at_least_one", "exact_share"] = "independent"
    """`independent`: each item with probability ρ, so a window may draw none (2023 code); `at_least_one`: the same, and
    one item at random where none was drawn; `exact_share`: max(1, round(ρ·n)) items of n (2019 paper)."""
    most_masks: int | None = Field(None, ge=1)
    """Upper limit of an `exact_share`; none: no limit."""
    force_last_probability: float = Field(0.0, ge=0.0, le=1.0)
    """Probability that a window's last item is hidden besides the others, as the query hides it."""
    last_weight: float = Field(1.0, ge=0.0)
    """Factor of the loss at the latest hidden item of each window; the others have 1."""

    @field_validator("stride")
    @classmethod
    def _leaves_no_gap(cls, stride: int | None, others: ValidationInfo) -> int | None:
        length = others.data.get("maximum_length", stride)  # absent where the length itself was refused
        if stride is not None and length is not None and stride > length:
            raise ValueError(f"should be at most maximum_length={length}: what lies between windows is never learnt")
        return stride

    @field_validator("most_masks")
    @classmethod
    def _limits_a_share(cls, most_masks: int | None, others: ValidationInfo) -> int | None:
        masks = others.data.get("masks", "exact_share")
        if most_masks is not None and masks != "exact_share":
            raise ValueError(f"should be none, or masks=exact_share: {masks} masks have no exact number to limit")
        return most_masks

    @property
    def needs_mask(self) -> bool:
        """It stands for each item that is hidden."""
        return True

    def windows(self, train: Sequences) -> Sequences:
        """One window per user with at least one training event, or several, in all their copies.

        A copy is a view: no event is stored twice. Those of which the last item alone is to be hidden are marked.
        """
        known = train.select(train.lengths_U >= 1)
        length, stride = self.maximum_length, self.stride
        windows = known.last(length) if stride is None else known.sliding(length, stride)
        if (self.copies, self.last_copies) == (1, 0):
            return windows
        copies = windows.select(torch.arange(len(windows)).repeat(self.copies + self.last_copies))
        return replace(copies, host_marks_U=torch.arange(len(copies)) >= self.copies * len(windows))

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Windows with freshly drawn masks; T may be 0 when no mask was drawn at all.

        The draws are made on the CPU, wherever the windows are: they decide T, and all devices hide the same items.
        """
        may_be_BL = may_be_asked(windows)
        is_masked_BL = self._masked(may_be_BL, generator)
        if windows.host_marks_U is not None:
            is_masked_BL = torch.where(windows.host_marks_U[:, None], _last(may_be_BL), is_masked_BL)
        batch = hide(windows, is_masked_BL)
        if self.last_weight == 1.0:
            return batch
        counts_B = batch.counts_B
        weights_T = torch.ones(int(counts_B.sum()))
        weights_T[counts_B.cumsum(0)[counts_B > 0] - 1] = self.last_weight
        weights_T = transfer.send(weights_T, batch.targets_T.device)
        return replace(batch, weights_T=weights_T if batch.weights_T is None else weights_T * batch.weights_T)

    def _masked(self, may_be_BL: Tensor, generator: torch.Generator) -> Tensor:
        """Which places are hidden of those that may be, shape (B, L), all on the CPU."""
        draws_BL = torch.rand(may_be_BL.shape, generator=generator)
        draws_BL.masked_fill_(~may_be_BL, 2.0)  # above every share: padding is never hidden
        # A window of no such place has a smallest draw as well.
        is_masked_BL = self._choose(draws_BL, may_be_BL.sum(1)) & may_be_BL
        if self.force_last_probability == 0:
            return is_masked_BL
        is_forced_B = torch.rand(len(may_be_BL), generator=generator) < self.force_last_probability
        return is_masked_BL | (_last(may_be_BL) & is_forced_B[:, None])

    def _choose(self, draws_BL: Tensor, counts_B: Tensor) -> Tensor:
        """Which places are hidden, given one uniform draw for each of so many that may be."""
        if self.masks == "exact_share":
            # In double precision, as Python rounds: 0.3 · 5 is 1.5.
            counts_B = (counts_B.double() * self.mask_probability).round().clamp_(min=1, max=self.most_masks)
            return draws_BL.argsort(1).argsort(1) < counts_B[:, None]
        is_masked_BL = draws_BL < self.mask_probability
        if self.masks == "at_least_one":
            # The smallest draw is at a uniformly random place.
            lowest_B1 = draws_BL.argmin(1, keepdim=True)
            is_masked_BL = is_masked_BL.scatter(1, lowest_B1, True)
        return is_masked_BL

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """The last L − 1 events of each history, then MASK at the row's own end, at the time of the newest event."""
        histories = histories.last(self.maximum_length - 1)
        inputs_BL, lengths_B = pad_right(histories, room=1)
        rows_T = torch.arange(len(histories), device=lengths_B.device)
        inputs_BL[rows_T, lengths_B] = MASK
        positions_T = rows_T * inputs_BL.shape[1] + lengths_B
        targets_T = torch.full_like(rows_T, -1) if targets_C is None else targets_C
        return Batch(
            inputs_BL, lengths_B + 1, positions_T, targets_T, rows_T, histories.users_U,
            host_lengths_B=histories.sizes_U + 1, host_counts_B=torch.ones(len(histories), dtype=torch.int64),
            times_BL=pad_times(histories, room=1),
        )  # fmt: skip


def _last(may_be_BL: Tensor) -> Tensor:
    """The last place of each row that may be hidden, shape (B, L); none of a row without any."""
    return may_be_BL & (may_be_BL.cumsum(1) == may_be_BL.sum(1, keepdim=True))
