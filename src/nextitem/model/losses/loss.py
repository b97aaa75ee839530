"""What a loss is, and what its configuration says of it. T target positions, e output width."""

from abc import abstractmethod
from typing import ClassVar, Protocol

from torch import Tensor

from nextitem.model.batches import Drawn
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


class LossConfiguration(Configuration):
    """Settings of a loss; an entry of the shelf is one of these."""

    name: str
    """By which the loss is chosen."""
    needs_negatives: ClassVar[bool]
    """Whether the loss compares the target with drawn items, or with the whole catalogue."""

    @abstractmethod
    def build(self) -> Loss:
        """The loss as a function."""

    def reason_against(self, set_size: int) -> str | None:
        """Why sets of at most so many negatives would teach nothing, and the remedy; None where they do."""
        return None
