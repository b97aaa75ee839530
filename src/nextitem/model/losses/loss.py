"""What a loss is, and what its configuration says of it. T target positions, e output width."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Protocol, Self, runtime_checkable

from torch import Tensor

from nextitem.model.batches import FLOAT_BYTES, Drawn, StepShapes
from nextitem.model.items.shard import Shard
from nextitem.model.items.table import ItemTable
from nextitem.settings.configuration import Configuration


class Loss(Protocol):
    """A sum over positions that falls as the targets' scores rise above the others'."""

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """The summed loss, a scalar."""


@runtime_checkable
class WholeLoss(Loss, Protocol):
    """A loss over the whole catalogue, which several processes can sum up that have some of its rows each."""

    def of_shards(self, states_te: Tensor, targets_t: Tensor, shard: Shard, weights_t: Tensor | None) -> Tensor:
        """The summed loss of this process's own t positions, a scalar whose gradients are those of all positions."""


class LossConfiguration(Configuration):
    """Settings of a loss; an entry of the shelf is one of these."""

    name: str
    """By which the loss is chosen."""
    needs_negatives: ClassVar[bool]
    """Whether the loss compares the target with drawn items, or with the whole catalogue."""

    @property
    def can_be_taught(self) -> bool:
        """Whether it is log Σ exp(score) over all items less the target's score, so that a teacher can be heard."""
        return False

    @abstractmethod
    def build(self) -> Loss:
        """The loss as a function."""

    def bytes(self, shapes: StepShapes) -> int:
        """What a step takes at its peak, beside what was drawn: with all scores at a time, by autograd.

        A loss that goes through scores in blocks says otherwise.
        """
        positions, count = shapes.positions, shapes.count
        if shapes.sharing is None:
            return shapes.states_bytes + 3 * positions * shapes.number_of_items * FLOAT_BYTES
        if shapes.sharing == "position":
            # Scores, where they are out, and what became of them.
            return shapes.states_bytes + positions * (shapes.lookup_bytes + 6 * (1 + count) * FLOAT_BYTES)
        vectors = 2 * shapes.sets * count * shapes.width * FLOAT_BYTES
        return shapes.states_bytes + 6 * positions * count * FLOAT_BYTES + vectors

    def block_size(self, shapes: StepShapes) -> int | None:
        """Positions whose scores exist at a time; None for a loss without blocks of the catalogue."""
        return None

    def smaller(self, shapes: StepShapes) -> Iterator[Self]:
        """The same loss with ever less memory, for steps of these shapes; results differ by rounding alone."""
        return iter(())

    @property
    def versions(self) -> tuple[Self, ...]:
        """Itself as it may be computed on one machine or another; which is the fastest a plan finds out.

        Where the loss is not among them, that is left open, and it cannot be built before it was settled.
        """
        return (self,)

    @property
    def version(self) -> str:
        """Which of its versions it is, by the setting that tells them apart; "" where there is one."""
        return ""

    def remedies(self) -> list[list[str]]:
        """Overrides by which another loss would need less memory and learn something like this; they change results."""
        return []

    def reason_against(self, set_size: int) -> str | None:
        """Why sets of at most so many negatives would teach nothing, and the remedy; None where they do."""
        return None

    def reason_against_pairs(self) -> str | None:
        """Why items whose scores are no products do not go with its settings, and the remedy; None where they do."""
        return None
