"""What the optimisation loop asks of what it trains."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn
from nextitem.model.items.shard import Shard
from nextitem.model.items.table import ItemTable
from nextitem.model.losses.loss import Loss


class Acting(Protocol):
    """What one step asks: states, and their loss."""

    @property
    def items(self) -> ItemTable:
        """What the step reads of the items."""

    def made(self) -> "Acting":
        """The same as the step reads it: rows that are made of parts are made once."""

    def states(self, batch: Batch) -> Tensor:
        """What is foreseen from at the batch's target positions, shape (T, e)."""

    def loss_of_states(self, states_Te: Tensor, batch: Batch, loss: Loss, drawn: Drawn | None) -> Tensor:
        """Summed loss of a batch whose states are known, a scalar."""


class Trainable(Protocol):
    """What `fit_model` trains: an nn.Module from which a step takes what acts in it."""

    @property
    def shard(self) -> Shard | None:
        """The rows of the item table that this process keeps of it; None: all of them."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights."""

    def train(self) -> object:
        """Enter training mode."""

    def state_dict(self) -> dict[str, Tensor]:
        """All weights by name."""

    def load_state_dict(self, weights: Mapping[str, Tensor]) -> object:
        """Replace all weights."""

    def windows(self, train: Sequences) -> Sequences:
        """The training windows, with what is read of their events."""

    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Some windows as one step's batch."""

    def narrowed(self, batch: Batch, drawn: Drawn | None) -> "tuple[Acting, Batch, Drawn | None, Tensor]":
        """The model on the rows of the item table that a step touches, the step in their numbers, and their ids."""
