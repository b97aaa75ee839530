"""Blocks one on the other, and what the last of them computes. B rows, L length, d width."""

import torch
from torch import Tensor, nn

from nextitem.model.layers.packing import Packed, Queries
from nextitem.model.layers.stack import stacked

LAYOUT = Packed(torch.tensor([3, 1, 4, 2]), 5, is_causal=True)
NUMBERS_BLd = torch.arange(20.0).view(4, 5, 1)


class AddOne(nn.Module):
    """Adds 1 to those who ask, and remembers how many they were."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def forward(self, x_Pd: Tensor, queries: Queries) -> Tensor:
        from_Qd = queries.of(x_Pd)
        self.asked.append(len(from_Qd))
        return from_Qd + 1


def test_few_reads_are_all_that_the_last_block_computes() -> None:
    blocks, read_T = [AddOne(), AddOne(), AddOne()], torch.tensor([12, 2])  # newest places of two of the four rows
    x_Qd, places_T = stacked(blocks, LAYOUT.flat(NUMBERS_BLd), LAYOUT, read_T)
    assert [block.asked for block in blocks] == [[10], [10], [2]]
    assert places_T is not None
    assert x_Qd[places_T][:, 0].tolist() == [12 + 3, 2 + 3]


def test_where_nothing_is_picked_all_positions_go_through_all_blocks() -> None:
    blocks = nn.ModuleList([AddOne(), AddOne()])
    x_Qd, places_T = stacked(blocks, LAYOUT.flat(NUMBERS_BLd), LAYOUT, None)
    assert places_T is None
    assert torch.equal(x_Qd, LAYOUT.flat(NUMBERS_BLd) + 2)
