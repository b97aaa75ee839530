"""Transformer blocks one on the other, of which the last computes no more than what is read.

P positions that are computed, Q of them that ask in a block, T that are read, d width.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from torch import Tensor

from nextitem.model.layers.packing import Layout

Removable = Literal["positions", "feed_forward", "norms", "residuals"]
"""What an ablation may leave out of a stack of blocks, or of what enters it."""


def stacked(
    blocks: Iterable[Callable[..., Tensor]], x_Pd: Tensor, layout: Layout, read_T: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """(what those have who asked in the last block (Q, d), where the T that are read are among them).

    A block is called with the vectors (P, d) and the `Queries` that say who asks. With flat positions `read_T` of B·L
    the last block is asked by these alone, where that is less work. Without, all positions ask, and there is no place.
    """
    everyone, (readers, places_T) = layout.everyone(), (None, None) if read_T is None else layout.readers(read_T)
    *earlier, last = blocks
    for block in earlier:
        x_Pd = block(x_Pd, everyone)
    return last(x_Pd, everyone if readers is None else readers), places_T
