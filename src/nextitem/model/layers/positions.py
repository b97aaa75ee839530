"""Where each position is in a table of learned ones. P positions that are computed."""

from typing import Literal

from torch import Tensor

from nextitem.model.layers.packing import Layout

PositionDirection = Literal["from_oldest", "from_newest"]


def places(layout: Layout, table: int, direction: PositionDirection) -> Tensor:
    """The row of a table of so many for each position, shape (P,): its place from the oldest item of its window on.

    With `from_newest` the newest item has the last row, as where windows are padded on the left to the whole table.
    """
    if direction == "from_oldest":
        return layout.columns_P
    return (table - layout.lengths_P + layout.columns_P).clamp_(max=table - 1)
