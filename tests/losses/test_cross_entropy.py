import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nextitem.batches import Drawn
from nextitem.items import TiedItems
from nextitem.losses.cross_entropy import CrossEntropy, CrossEntropyLoss

POSITIONS, ITEMS, WIDTH = 22, 12, 4


@pytest.fixture
def items() -> TiedItems:
    items = TiedItems(ITEMS, WIDTH).double()
    torch.nn.init.normal_(items.weight_Nd, generator=torch.Generator().manual_seed(1))
    return items


@pytest.fixture
def states_Te() -> Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.randn(POSITIONS, WIDTH, generator=draws, dtype=torch.float64).requires_grad_()


TARGETS_T = torch.arange(POSITIONS) % ITEMS


@pytest.mark.parametrize("block_rows", [1, 5, POSITIONS - 1, POSITIONS, 512])
@pytest.mark.parametrize("tile_items", [1, 5, ITEMS - 1, ITEMS, 1024])
def test_blocks_and_tiles_of_any_size_change_nothing(
    block_rows: int, tile_items: int, items: TiedItems, states_Te: Tensor
) -> None:
    loss = CrossEntropy(block_rows=block_rows, tile_items=tile_items).build()
    value = loss(states_Te, TARGETS_T, items)
    expected = cross_entropy(states_Te @ items.weight_Nd.T, TARGETS_T, reduction="sum")
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for one, other in zip(
        torch.autograd.grad(value, [states_Te, items.weight_Nd]),
        torch.autograd.grad(expected, [states_Te, items.weight_Nd]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(loss(states_Te, TARGETS_T, items), expected, rtol=1e-12, atol=0)


def test_negatives_are_not_looked_at(items: TiedItems, states_Te: Tensor) -> None:
    loss, drawn = CrossEntropyLoss(), Drawn(torch.tensor([3, 5]), "batch", torch.zeros(POSITIONS, dtype=torch.int64))
    assert torch.equal(loss(states_Te, TARGETS_T, items, drawn), loss(states_Te, TARGETS_T, items))


def test_equal_scores_cost_the_logarithm_of_the_catalogue(items: TiedItems) -> None:
    value = CrossEntropyLoss(tile_items=5)(torch.zeros(3, WIDTH, dtype=torch.float64), TARGETS_T[:3], items)
    torch.testing.assert_close(value, 3 * torch.tensor(ITEMS, dtype=torch.float64).log())
