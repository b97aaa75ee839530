"""What is asked of a model: how windows become inputs and targets. C cases."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch
from nextitem.settings.configuration import Configuration


class Objective(Configuration):
    """What is asked of the model; an entry of the shelf is one of these, and states what is not so.

    Each has `maximum_length`, as a setting or, where there is no choice, as a fact.
    """

    name: str
    """By which the objective is chosen."""
    needs_causal: ClassVar[bool]
    """Whether the encoder must not look ahead, since the next input is the answer; has no default, so each says it."""
    shows_items: ClassVar[bool] = True
    """Whether the encoder is shown items of the history, and not the user alone."""

    @property
    def says_when_asked(self) -> bool:
        """Whether a batch says when what is asked for happened, for an encoder that reads it."""
        return False

    @property
    def asks_what_followed(self) -> bool:
        """Whether a window has the same targets in every epoch, each of them after the inputs up to its position.

        Only then can somebody else be asked about them once and for all.
        """
        return False

    @property
    def foresees_everywhere(self) -> bool:
        """Whether a model is trained to foresee at every position of a window, and so can be asked there."""
        return False

    if TYPE_CHECKING:

        @property
        def maximum_length(self) -> int:
            """The most places that are encoded."""

    @property
    def needs_mask(self) -> bool:
        """Whether the item table needs a MASK vector, since items are hidden."""
        return False

    @abstractmethod
    def windows(self, train: Sequences) -> Sequences:
        """The training windows."""

    @abstractmethod
    def batch(self, windows: Sequences, generator: torch.Generator) -> Batch:
        """Some windows as one step's batch."""

    @abstractmethod
    def query(self, histories: Sequences, targets_C: Tensor | None = None) -> Batch:
        """Histories as a batch with one position each: what comes next?"""
