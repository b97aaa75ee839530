import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import nextitem.model.losses.cross_entropy as cross_entropy_module
from nextitem.model.batches import Drawn
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses.cross_entropy import CrossEntropy, CrossEntropyLoss

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


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_smoothed_labels_are_those_of_torch_with_weights_too(
    smoothing: float, items: TiedItems, states_Te: Tensor
) -> None:
    """Its definition, q = (1 − ε) at the target + ε/N everywhere, is ours."""
    weights_T = torch.linspace(0, 2, POSITIONS, dtype=torch.float64)
    loss = CrossEntropy(block_rows=5, tile_items=5, label_smoothing=smoothing).build()
    value = loss(states_Te, TARGETS_T, items, weights_T=weights_T)
    scores_TN = states_Te @ items.weight_Nd.T
    expected = (cross_entropy(scores_TN, TARGETS_T, reduction="none", label_smoothing=smoothing) * weights_T).sum()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for one, other in zip(
        torch.autograd.grad(value, [states_Te, items.weight_Nd]),
        torch.autograd.grad(expected, [states_Te, items.weight_Nd]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(loss(states_Te, TARGETS_T, items, weights_T=weights_T), expected, rtol=1e-12, atol=0)


def test_smoothing_is_that_of_the_two_losses_that_it_mixes() -> None:
    """Scores 0 and 1 with ε = 0.2: 0.8 of a target of the higher one, 0.2 of half a target of each."""
    items = TiedItems(2, 1)
    items.weight_Nd = torch.nn.Parameter(torch.tensor([[0.0], [1.0]]))
    value = CrossEntropyLoss(label_smoothing=0.2)(torch.ones(1, 1), torch.tensor([1]), items)
    low, high = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    assert value.item() == pytest.approx(0.8 * low + 0.2 * (low + high) / 2)


def test_negatives_are_not_looked_at(items: TiedItems, states_Te: Tensor) -> None:
    loss, drawn = CrossEntropyLoss(), Drawn(torch.tensor([3, 5]), "batch", torch.zeros(POSITIONS, dtype=torch.int64))
    assert torch.equal(loss(states_Te, TARGETS_T, items, drawn), loss(states_Te, TARGETS_T, items))


def test_equal_scores_cost_the_logarithm_of_the_catalogue(items: TiedItems) -> None:
    value = CrossEntropyLoss(tile_items=5)(torch.zeros(3, WIDTH, dtype=torch.float64), TARGETS_T[:3], items)
    torch.testing.assert_close(value, 3 * torch.tensor(ITEMS, dtype=torch.float64).log())


def long_tailed(states: float, vectors: float) -> tuple[Tensor, Tensor, Tensor]:
    """(states_Te, weight_Ne, targets_T) of 100 positions and 3,000 items in float32."""
    draws = torch.Generator().manual_seed(5)
    states_Te = (states * torch.randn(100, 64, generator=draws)).requires_grad_()
    weight_Ne = (vectors * torch.randn(3000, 64, generator=draws)).requires_grad_()
    return states_Te, weight_Ne, torch.randint(3000, (100,), generator=draws)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("states", "vectors", "tolerance"),
    [
        pytest.param(1.0, 0.02, 0.005, id="as at the start of a training"),
        pytest.param(1.0, 0.25, 0.01, id="as at its end: scores of about ±8"),
        pytest.param(3.0, 1.0, 0.05, id="unbounded: scores of about ±100, where the shortcut is not taken"),
    ],
)
def test_bfloat16_gradients_are_within_a_stated_share_of_the_float64_ones(
    states: float, vectors: float, tolerance: float, smoothing: float
) -> None:
    states_Te, weight_Ne, targets_T = long_tailed(states, vectors)
    items = TiedItems(3000, 64)
    items.weight_Nd = torch.nn.Parameter(weight_Ne.detach().clone())
    value = CrossEntropyLoss(precision="bfloat16", label_smoothing=smoothing)(states_Te, targets_T, items)
    ours = torch.autograd.grad(value, [states_Te, items.weight_Nd])
    scores_TN = states_Te.double() @ weight_Ne.double().T
    exact = cross_entropy(scores_TN, targets_T, reduction="sum", label_smoothing=smoothing)
    expected = torch.autograd.grad(exact, [states_Te, weight_Ne])
    assert value.item() == pytest.approx(exact.item(), rel=tolerance)
    for one, other in zip(ours, expected, strict=True):
        assert one.dtype == torch.float32
        assert float((one - other).norm() / other.norm()) < tolerance


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("number_of_items", [1, 7])
def test_no_position_loses_less_than_nothing_however_sure_of_its_target(precision: Any, number_of_items: int) -> None:
    """102.3 is no number of bfloat16: rounded it is 102.5, or 102 where it is below."""
    loss = CrossEntropyLoss(precision=precision)
    for score in (102.3, 102.1, 60.1, 1e4 + 0.3):
        items = TiedItems(number_of_items, 1)
        items.weight_Nd = torch.nn.Parameter(torch.zeros(number_of_items, 1).index_fill(0, torch.tensor(0), score))
        value = loss(torch.ones(1, 1), torch.tensor([0]), items)
        assert 0 <= value.item() <= 2**-8 * score
        value.backward()
        assert bool(items.weight_Nd.grad.isfinite().all())


def test_bfloat16_takes_the_running_maximum_where_scores_are_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    states_Te, weight_Ne, targets_T = long_tailed(1.0, 0.25)
    items = TiedItems(3000, 64)
    items.weight_Nd = torch.nn.Parameter(weight_Ne.detach().clone())
    loss = CrossEntropyLoss(precision="bfloat16")
    assert cross_entropy_module.is_bounded(states_Te, weight_Ne)
    short = torch.autograd.grad(loss(states_Te, targets_T, items), [states_Te, items.weight_Nd])
    monkeypatch.setattr(cross_entropy_module, "is_bounded", lambda *_: False)
    careful = torch.autograd.grad(loss(states_Te, targets_T, items), [states_Te, items.weight_Nd])
    for one, other in zip(short, careful, strict=True):
        assert 0 < float((one - other).norm() / other.norm()) < 0.01


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 1e3])
def test_what_is_not_small_is_not_taken_for_bounded(scale: float) -> None:
    assert not cross_entropy_module.is_bounded(torch.full((3, 4), scale), torch.ones(5, 4))
    assert cross_entropy_module.is_bounded(torch.ones(3, 4), torch.ones(5, 4))


@pytest.mark.parametrize(("positions", "expected"), [(0, []), (1, [1]), (768, [768]), (769, [400, 369])])
def test_blocks_are_of_nearly_equal_length_and_aligned(positions: int, expected: list[int]) -> None:
    assert [rows.stop - rows.start for rows in CrossEntropyLoss().blocks(positions, 1000, 4)] == expected


def test_blocks_fit_the_scratch_buffer_whatever_the_catalogue() -> None:
    (first, *_) = CrossEntropyLoss().blocks(768, 1_000_000, 4)
    assert first.stop * 1_000_000 * 4 <= 1 << 28
    (first, *_) = CrossEntropyLoss().blocks(768, 10**9, 4)
    assert first.stop == 16
