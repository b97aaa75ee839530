"""Foresee the next item at every position of a window (SASRec's objective). B rows, L length, T targets."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.recency import fading
from nextitem.data.sequences import Sequences
from nextitem.model.batches import PAD, Batch, stack, weighed
from nextitem.model.objectives.objective import Objective
from nextitem.model.rows import asked_times, hide, may_be_asked, pad_right, pad_times


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
    """Events between the windows of a longer history, counted back from its newest one; none: only the last window. An
    event is then the target of L/stride windows, and of fewer near either end of its history."""
    targets: Literal["all", "new", "last"] = "all"
    """Which events of a window are targets. `new`: those that no earlier window of a `stride` holds, so that each event
    but a user's first is a target once, after L − stride others at least where there are so many. `last`: its newest
    one, with a window that ends at every event but the first: every prefix is a sample of its own. It takes no `stride`
    and costs an encoding of up to L places for each event."""
    half_life: float | None = Field(None, gt=0.0)
    """Events after which a target weighs half as much: 2^(−age/half_life), where a user's newest event is 0 old. none:
    all weigh the same. The sum is still divided by the number of targets."""
    half_life_days: float | None = Field(None, gt=0.0)
    """The same in days before the latest training event of all users; with `half_life` both factors count."""
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

    @model_validator(mode="after")
    def _has_such_windows(self) -> Self:
        if self.targets == "last" and self.stride is not None:
            raise ValueError(
                f"targets='last' has a window at every event, and stride={self.stride} says otherwise; leave it out, "
                f"or set targets=new"
            )
        if self.targets != "all" and self.cloze_weight > 0:
            raise ValueError(
                f"cloze_weight={self.cloze_weight} hides items of whole windows, and targets='{self.targets}' learns "
                f"from a part of each; set targets=all or cloze_weight=0"
            )
        return self

    @property
    def needs_mask(self) -> bool:
        """With copies in which items are hidden."""
        return self.cloze_weight > 0

    @property
    def says_when_asked(self) -> bool:
        """Without copies: what is hidden in them has no next event."""
        return not self.needs_mask

    @property
    def asks_what_followed(self) -> bool:
        """Unless targets are left out or items hidden at random."""
        return self.label_masking == 0 and not self.needs_mask

    @property
    def foresees_everywhere(self) -> bool:
        """Unless only the newest item of a window is a target."""
        return self.targets != "last"

    def windows(self, train: Sequences) -> Sequences:
        """One window per user with at least two training events, or several.

        Raises DataError for `half_life_days` where times are not known.
        """
        known, length = fading(train, self.half_life, self.half_life_days), self.maximum_length + 1
        known = known.select(train.lengths_U >= 2)
        if self.targets == "last":
            windows = known.prefixes(length)
            return replace(windows, host_marks_U=torch.ones(len(windows), dtype=torch.int64))
        if self.stride is None:
            return known.last(length)
        windows = known.sliding(length, self.stride)
        return replace(windows, host_marks_U=_new(windows)) if self.targets == "new" else windows

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Windows of at least two events as inputs and targets; T may be 0 with `label_masking`.

        Windows that are marked have so many targets, their newest events; others have all that they can.

        What is drawn is drawn on the CPU, wherever the windows are: it decides T, and all devices learn the same.
        """
        batch = self._shifted(windows, generator)
        return stack(batch, self._cloze(windows, generator)) if self.needs_mask else batch

    def _shifted(self, windows: Sequences, generator: torch.Generator) -> Batch:
        (events_BM, lengths_B), times_BM = pad_right(windows), pad_times(windows)
        inputs_BL, lengths_B = events_BM[:, :-1].contiguous(), lengths_B - 1
        inputs_BL.masked_fill_(torch.arange(inputs_BL.shape[1], device=lengths_B.device) >= lengths_B[:, None], PAD)
        sizes_B = windows.sizes_U - 1
        counts_B = sizes_B if windows.host_marks_U is None else windows.host_marks_U
        asked_B = lengths_B if windows.host_marks_U is None else transfer.send(counts_B, lengths_B.device)
        rows_T, columns_T = transfer.places(asked_B, int(counts_B.sum()))
        if windows.host_marks_U is not None:
            columns_T = columns_T + (lengths_B - asked_B)[rows_T]
        if self.label_masking > 0:
            kept_T = (torch.rand(len(rows_T), generator=generator) >= self.label_masking).nonzero()[:, 0]
            counts_B = torch.bincount(torch.repeat_interleave(counts_B)[kept_T], minlength=len(sizes_B))
            kept_T = transfer.send(kept_T, rows_T.device)
            rows_T, columns_T = rows_T[kept_T], columns_T[kept_T]
        positions_T, targets_T = rows_T * inputs_BL.shape[1] + columns_T, events_BM[rows_T, columns_T + 1]
        batch = Batch(
            inputs_BL, lengths_B, positions_T, targets_T, rows_T, windows.users_U,
            host_lengths_B=sizes_B, host_counts_B=counts_B, times_BL=pad_times(windows.without_last(1)),
            asked_BL=None if times_BM is None else times_BM[:, 1:],
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
            times_BL=pad_times(histories), asked_BL=asked_times(histories),
        )  # fmt: skip


def _new(windows: Sequences) -> Tensor:
    """How many of the targets of each window no earlier window of its history has, on the CPU."""
    starts_U, stops_U = transfer.fetch(windows.starts_U), transfer.fetch(windows.stops_U)
    # The windows of a history lie side by side, the oldest first; of the next history nothing is known yet.
    known_U = starts_U + 1
    is_next_U = starts_U[1:] < stops_U[:-1]
    is_next_U &= starts_U[1:] > starts_U[:-1]
    known_U[1:] = torch.where(is_next_U, torch.maximum(known_U[1:], stops_U[:-1]), known_U[1:])
    return stops_U - known_U
