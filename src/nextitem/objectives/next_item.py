"""Foresee the next item at every position of a window (SASRec's objective). B rows, L length, T targets."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from nextitem import transfer
from nextitem.batches import PAD, Batch, pad_right
from nextitem.configuration import Configuration
from nextitem.sequences import Sequences


class NextItem(Configuration):
    """Each window is shifted by one: inputs are all but its last event, targets all but its first."""

    name: Literal["next_item"] = "next_item"
    needs_causal: ClassVar[bool] = True
    """Whether the encoder must not look ahead: here the next input is the answer."""
    needs_mask: ClassVar[bool] = False
    """Whether the item table needs a MASK vector."""
    maximum_length: int = Field(50, ge=1)
    """Longest input L; a training window is the last L + 1 events of a user."""

    def windows(self, train: Sequences) -> Sequences:
        """One window per user with at least two training events."""
        return train.select(train.lengths_U >= 2).last(self.maximum_length + 1)

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Windows of at least two events as inputs and targets; nothing is random here."""
        events_BM, lengths_B = pad_right(windows)
        inputs_BL, lengths_B = events_BM[:, :-1].contiguous(), lengths_B - 1
        inputs_BL.masked_fill_(torch.arange(inputs_BL.shape[1], device=lengths_B.device) >= lengths_B[:, None], PAD)
        sizes_B = windows.sizes_U - 1
        rows_T, columns_T = transfer.places(lengths_B, int(sizes_B.sum()))
        positions_T, targets_T = rows_T * inputs_BL.shape[1] + columns_T, events_BM[rows_T, columns_T + 1]
        return Batch(
            inputs_BL, lengths_B, positions_T, targets_T, rows_T, windows.users_U,
            host_lengths_B=sizes_B, host_counts_B=sizes_B,
        )  # fmt: skip

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
        )  # fmt: skip
