"""Foresee the next few items after a short window (Caser's objective). B rows, L length, M events, T targets."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import PAD, Batch, weighed
from nextitem.model.objectives.objective import Objective
from nextitem.model.rows import pad_right, pad_times


class NextFew(Objective):
    """Windows that slide over a history event by event; all targets of a window are asked for at its newest input.

    A history that is shorter than inputs and targets together is one window. It has as many targets as leave an input.
    """

    name: Literal["next_few"] = "next_few"
    needs_causal: ClassVar[bool] = False  # no target is in the input
    maximum_length: int = Field(5, ge=1)
    """Longest input L."""
    targets: int = Field(3, ge=1)
    """How many of the events after the input are targets."""

    @property
    def asks_what_followed(self) -> bool:
        """Always: nothing is random, and all targets are after the newest input."""
        return True

    def windows(self, train: Sequences) -> Sequences:
        """A window for each place in a history of at least two events, and one for a short history."""
        return train.select(train.lengths_U >= 2).sliding(self.maximum_length + self.targets, stride=1)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Windows of at least two events as inputs and targets; nothing is random here."""
        events_BM, lengths_B = pad_right(windows)
        targets_B, sizes_B = self._targets(lengths_B), windows.sizes_U - self._targets(windows.sizes_U)
        lengths_B = lengths_B - targets_B
        inputs_BL = events_BM[:, : int(sizes_B.max()) if len(windows) else 0].contiguous()
        inputs_BL.masked_fill_(torch.arange(inputs_BL.shape[1], device=lengths_B.device) >= lengths_B[:, None], PAD)
        counts_B = windows.sizes_U - sizes_B
        rows_T, following_T = transfer.places(targets_B, int(counts_B.sum()))
        places_B, columns_T = _newest(inputs_BL, lengths_B), lengths_B[rows_T] + following_T
        batch = Batch(
            inputs_BL, lengths_B, places_B[rows_T], events_BM[rows_T, columns_T], rows_T,
            windows.users_U, host_lengths_B=sizes_B, host_counts_B=counts_B, places_B=places_B,
            times_BL=pad_times(replace(windows, stops_U=windows.stops_U - targets_B, host_lengths_U=sizes_B)),
        )  # fmt: skip
        if not windows.has_weights:
            return batch
        return weighed(batch, windows.events.weights_at(windows.starts_U[rows_T] + columns_T))

    def _targets(self, events_B: Tensor) -> Tensor:
        return (events_B - 1).clamp(max=self.targets)

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """The last L events of each history, asked at the newest one. Empty histories have no such state."""
        histories = histories.last(self.maximum_length)
        inputs_BL, lengths_B = pad_right(histories)
        rows_T = torch.arange(len(histories), device=lengths_B.device)
        targets_T = torch.full_like(rows_T, -1) if targets_C is None else targets_C
        return Batch(
            inputs_BL, lengths_B, _newest(inputs_BL, lengths_B), targets_T, rows_T, histories.users_U,
            host_lengths_B=histories.sizes_U, host_counts_B=torch.ones(len(histories), dtype=torch.int64),
            times_BL=pad_times(histories),
        )  # fmt: skip


def _newest(inputs_BL: Tensor, lengths_B: Tensor) -> Tensor:
    """The flat index of each row's last input."""
    return torch.arange(len(lengths_B), device=lengths_B.device) * inputs_BL.shape[1] + lengths_B - 1
