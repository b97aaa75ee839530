"""What every kind of negatives says of itself, and what it builds."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

import torch

from nextitem.data.sequences import Sequences
from nextitem.model.batches import ID_BYTES, Batch, Drawn, Sharing, number_of_sets
from nextitem.model.negatives.exclusion import Exclude, kept_bytes
from nextitem.settings.configuration import Configuration
from nextitem.words import counted


class Sampler(Protocol):
    """Draws the negatives of a step."""

    def sample(self, batch: Batch, generator: torch.Generator) -> Drawn:
        """Negatives for this batch."""


class Negatives(Configuration):
    """What a target is compared with when not with everything; an entry of the shelf is one kind of them.

    Each has `sharing` and `exclude`, as a setting or, where there is no choice, as a fact.
    """

    name: str
    """By which the kind is chosen."""

    if TYPE_CHECKING:

        @property
        def sharing(self) -> Sharing:
            """Who shares a set: a fresh one per `position`, one per `sequence`, or one for the whole `batch`."""

        @property
        def exclude(self) -> Exclude:
            """What never counts as a negative: the `target`, any item of the `window`, or of the `history`."""

    @abstractmethod
    def build(self, train: Sequences) -> Sampler:
        """The sampler over the items of `train`."""

    @abstractmethod
    def set_size(self, positions: int) -> int:
        """Most negatives of a set in a step of so many positions."""

    @abstractmethod
    def described(self) -> str:
        """How many there are and of which kind, in words such as `3,000 negatives (uniform)`."""

    def outside_histories(self) -> "Negatives":
        """Those of the validation loss, which are outside the user's history whatever training excludes."""
        return self.model_copy(update={"exclude": "history"})

    def reason_against(self, batch_size: int) -> str | None:
        """Why steps of so many windows would have nothing to compare with, and the remedy; None where they have."""
        return None

    def drawn(self, positions: int, rows: int) -> int:
        """How many ids a step of so many positions and rows draws at the most."""
        return self.set_size(positions) * number_of_sets(self.sharing, positions, rows)

    def bytes(self, positions: int, rows: int) -> int:
        """What a step draws: ids, how likely they were, and where the rows exclude an id of a set that they share."""
        excluded = 0 if self.sharing == "position" else rows * self.set_size(positions)
        return 3 * ID_BYTES * self.drawn(positions, rows) + excluded

    def kept_bytes(self, train: Sequences) -> int:
        """What is held of all histories in order, which the validation loss excludes at the least."""
        return kept_bytes(train, "history", self.sharing)

    def remedies(self) -> list[list[dict[str, object]]]:
        """Ways to draw less, each from the smallest change of settings to the largest; they change what is learnt."""
        return []

    def _in_words(self, count: int) -> str:
        return f"{counted(count, 'negative')} ({self.name.replace('_', ' ')})"


def disliked_in_words(count: int) -> str:
    """What is said beside negatives that are drawn: such as ` and 2 disliked`, "" where there are none."""
    return f" and {count:,} disliked" if count else ""


def fewer(count: int) -> list[dict[str, object]]:
    """The remedy of ever smaller sets, by halving."""
    return [{"count": count >> halvings} for halvings in range(1, 20) if count >> halvings]
