"""What a loss is. T target positions, e output width."""

from typing import Protocol

from torch import Tensor

from nextitem.model.batches import Drawn
from nextitem.model.items.table import ItemTable


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
