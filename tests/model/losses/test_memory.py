"""No loss may hold a score for every position and every candidate of a batch at once. T positions, N items."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nextitem.model.batches import Drawn
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses.cross_entropy import CrossEntropyLoss
from nextitem.model.losses.sampled_cross_entropy import SampledCrossEntropyLoss

WIDTH = 4


class LargestTensor(TorchFunctionMode):
    """Notes the most elements that any tensor made inside has."""

    elements = 0

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_the_notes_reach_into_the_losses() -> None:
    with LargestTensor() as largest:
        CrossEntropyLoss()(torch.randn(30, WIDTH, requires_grad=True), torch.arange(30), TiedItems(50, WIDTH))
    assert largest.elements == 32 * 50  # fewer than the rows of a block; aligned to 16


@pytest.mark.parametrize("wants_gradients", [True, False])
def test_cross_entropy_never_holds_the_logits_of_a_batch(wants_gradients: bool) -> None:
    positions, items, block_rows, tile_items = 300, 500, 16, 16
    states_Te = torch.randn(positions, WIDTH, requires_grad=True)
    with LargestTensor() as largest, torch.set_grad_enabled(wants_gradients):
        CrossEntropyLoss(block_rows, tile_items)(states_Te, torch.arange(positions), TiedItems(items, WIDTH))
    logits = block_rows * items if wants_gradients else block_rows * tile_items  # not 300 × 500
    assert largest.elements <= max(logits, positions * WIDTH, items * WIDTH)


@pytest.mark.parametrize("sharing", ["sequence", "batch"])
def test_sampled_cross_entropy_never_holds_the_scores_of_a_batch(sharing: Any) -> None:
    rows, length, count, items = 40, 30, 100, 200
    positions, block_rows = rows * length, 512
    states_Te = torch.randn(positions, WIDTH, requires_grad=True)
    ids_BK = torch.arange(rows * count).view(rows, count) % items
    ids, together = (ids_BK, length) if sharing == "sequence" else (ids_BK[0], block_rows)
    drawn = Drawn(ids, sharing, torch.arange(rows).repeat_interleave(length))
    with LargestTensor() as largest:
        SampledCrossEntropyLoss()(states_Te, torch.arange(positions) % items, TiedItems(items, WIDTH), drawn)
    assert largest.elements <= max(together * count, positions * WIDTH)  # not 1,200 × 100
