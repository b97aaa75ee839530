"""What is asked of a model: how windows become inputs and targets. C cases."""

from typing import Protocol

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch


class Objective(Protocol):
    """What is asked of the model: how windows become inputs and targets."""

    @property
    def needs_mask(self) -> bool:
        """Whether the item table needs a MASK vector."""

    @property
    def shows_items(self) -> bool:
        """Whether the encoder is shown items of the history, and not the user alone."""

    @property
    def maximum_length(self) -> int:
        """The most items that are encoded."""

    def windows(self, train: Sequences) -> Sequences:
        """The training windows."""

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Some windows as one step's batch."""

    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """Histories as a batch with one position each: what comes next?"""
