"""Foresee the next item at every position of a window (SASRec's objective). B rows, L length, T targets."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import PAD, Batch, stack, weighed
from nextitem.model.objectives.objective import Objective
from nextitem.model.rows import hide, may_be_asked, pad_right, pad_times


class NextItem(Objective):
    """Each window is shifted by one: inputs are all but its last event, targets all but its first.

    With `cloze_weight` every window is there a second time, with some of its items hidden, as masked_item has it. The
    encoder looks back only, so a hidden item is recovered from what came before it and not from both sides.
    """

    name: Literal["next_item"] = "next_item"
    needs_causal: ClassVar[bool] = True
    maximum_length: int = Field(50, ge=1)
    """Longest input L; a training window is the last L + 1 events of a user."""
    stride: int | None = Field(None, ge=1)
    """Events between the windows of a longer history, counted back from its newest one; none: only the last window."""
    label_masking: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the targets that is left out, drawn anew at every step (2023): shows what the loss at all positions is
    worth. A window's newest item is not known to a step that leaves it out, and may be drawn as a negative."""
    cloze_weight: float = Field(0.0, ge=0.0)
    """Factor λ of the loss at the hidden items of the second copy of each window; 0: no such copies. The sum over both
    is divided by the number of all targets."""
    cloze_probability: float = Field(0.2, gt=0.0, le=1.0)
    """Share of a copy's items that is hidden, each on its own."""

    @field_validator("stride")
    @classmethod
    def _leaves_no_gap(cls, stride: int | None, others: ValidationInfo) -> int | None:
        length = others.data.get("maximum_length", stride)  # absent where the length itself was refused
        if stride is not None and length is not None and stride > length:
            raise ValueError(f"should be at most maximum_length={length}: what lies between windows is never learnt")
        return stride

    @property
    def needs_mask(self) -> bool:
        """With copies in which items are hidden."""
        return self.cloze_weight > 0

    def windows(self, train: Sequences) -> Sequences:
        """One window per user with at least two training events, or several."""
        known, length = train.select(train.lengths_U >= 2), self.maximum_length + 1
        return known.last(length) if self.stride is None else known.sliding(length, self.stride)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Windows of at least two events as inputs and targets; T may be 0 with `label_masking`.

        What is drawn is drawn on the CPU, wherever the windows are: it decides T, and all devices learn the same.
        """
        batch = self._shifted(windows, generator)
        return stack(batch, self._cloze(windows, generator)) if self.needs_mask else batch

    def _shifted(self, windows: Sequences, generator: torch.Generator) -> Batch:
        events_BM, lengths_B = pad_right(windows)
        inputs_BL, lengths_B = events_BM[:, :-1].contiguous(), lengths_B - 1
        inputs_BL.masked_fill_(torch.arange(inputs_BL.shape[1], device=lengths_B.device) >= lengths_B[:, None], PAD)
        counts_B = sizes_B = windows.sizes_U - 1
        rows_T, columns_T = transfer.places(lengths_B, int(sizes_B.sum()))
        if self.label_masking > 0:
            kept_T = (torch.rand(len(rows_T), generator=generator) >= self.label_masking).nonzero()[:, 0]
            counts_B = torch.bincount(torch.repeat_interleave(sizes_B)[kept_T], minlength=len(sizes_B))
            kept_T = transfer.send(kept_T, rows_T.device)
            rows_T, columns_T = rows_T[kept_T], columns_T[kept_T]
        positions_T, targets_T = rows_T * inputs_BL.shape[1] + columns_T, events_BM[rows_T, columns_T + 1]
        batch = Batch(
            inputs_BL, lengths_B, positions_T, targets_T, rows_T, windows.users_U,
            host_lengths_B=sizes_B, host_counts_B=counts_B, times_BL=pad_times(windows.without_last(1)),
        )  # fmt: skip
        if not windows.has_weights:
            return batch
        return weighed(batch, windows.events.weights_at(windows.starts_U[rows_T] + columns_T + 1))

    def _cloze(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """The last L events of each window with some of them hidden."""
        windows = windows.last(self.maximum_length)
        columns_L = torch.arange(int(windows.sizes_U.max()) if len(windows) else 0)
        draws_BL = torch.rand(len(windows), len(columns_L), generator=generator)
        batch = hide(windows, (draws_BL < self.cloze_probability) & may_be_asked(windows))
        weights_T = torch.full((len(batch.targets_T),), self.cloze_weight, device=batch.targets_T.device)
        return replace(batch, weights_T=weights_T if batch.weights_T is None else weights_T * batch.weights_T)

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """The last L events of each history, asked at the newest one. Empty histories have no such state."""
        histories = histories.last(self.maximum_length)
        inputs_BL, lengths_B = pad_right(histories)
        rows_T = torch.arange(len(histories), device=lengths_B.device)
        positions_T = rows_T * inputs_BL.shape[1] + lengths_B - 1
        targets_T = torch.full_like(rows_T, -1) if targets_C is None else targets_C
        return Batch(
            inputs_BL, lengths_B, positions_T, targets_T, rows_T, histories.users_U,
            host_lengths_B=histories.sizes_U, host_counts_B=torch.ones(len(histories), dtype=torch.int64),
            times_BL=pad_times(histories),
        )  # fmt: skip
