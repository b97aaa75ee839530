"""Does this user have this item? Every training event is asked about on its own (NCF). B rows, T targets."""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences
from nextitem.model.batches import PAD, Batch
from nextitem.model.objectives.objective import Objective


class UserItem(Objective):
    """Each event is a window and its item the target; nothing is shown before it, so the encoder must know the user."""

    name: Literal["user_item"] = "user_item"
    needs_causal: ClassVar[bool] = False  # there is nothing to see
    shows_items: ClassVar[bool] = False
    maximum_length: ClassVar[int] = 1
    """The place at which the target is asked for, which holds no item."""

    def windows(self, train: Sequences) -> Sequences:
        """One view for every event that may be a target."""
        rows, offsets = transfer.places(train.lengths_U, int(train.sizes_U.sum()))
        starts = train.starts_U[rows] + offsets
        if train.has_weights:
            is_target = train.events.weights_at(starts) > 0
            rows, starts = rows[is_target], starts[is_target]
        is_on_host = train.host_lengths_U is None
        return replace(
            train, starts_U=starts, stops_U=starts + 1, users_U=train.users_U[rows], known_counts_N=None,
            host_lengths_U=None if is_on_host else torch.ones(len(starts), dtype=torch.int64),
        )  # fmt: skip

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Events as targets, with nothing to read before them; nothing is random here."""
        batch = self.query(windows, windows.at(windows.starts_U))
        if not windows.has_weights:
            return batch
        return replace(batch, weights_T=windows.events.weights_at(windows.starts_U))

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """One position for each user."""
        rows_T = torch.arange(len(histories), device=histories.users_U.device)
        return Batch(
            torch.full((len(histories), 1), PAD, device=rows_T.device),
            torch.zeros_like(rows_T),
            rows_T,
            torch.full_like(rows_T, -1) if targets_C is None else targets_C,
            rows_T,
            histories.users_U,
            host_lengths_B=torch.zeros(len(histories), dtype=torch.int64),
            host_counts_B=torch.ones(len(histories), dtype=torch.int64),
        )
