"""What every loss promises, in float64 unless a test says otherwise. T positions, e width, N items, K negatives."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from nextitem.batches import Batch, Drawn
from nextitem.errors import ConfigurationError
from nextitem.items import TiedItems
from nextitem.losses import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy
from nextitem.negatives import Uniform
from nextitem.objectives import NextItem
from nextitem.sequences import Sequences
from shelves import LOSSES, each, each_loss

# 12 items, of which item 11 occurs in nobody's history; the second user has seen all the others.
ITEMS = 12
TRAIN = Sequences.of([[0, 1, 2, 3, 2, 4], list(range(11)), [5, 6], [7, 8, 9, 7, 10, 9, 0]], ITEMS)
BATCH: Batch = NextItem().batch(NextItem().windows(TRAIN), torch.Generator())
POSITIONS = 5 + 10 + 1 + 6

SHARINGS = ["position", "sequence", "batch"]
SAMPLERS = {
    f"{sharing}-{exclude}-{count}-{'with' if replacement else 'without'} replacement": Uniform(
        count=count, sharing=sharing, replacement=replacement, exclude=exclude
    )
    for sharing, exclude, (count, replacement) in product(
        SHARINGS, ["target", "window", "history"], [(3, True), (3, False), (9, False)]
    )
}  # without replacement, 9 are more than the first user's window of 5 items leaves of 11

# How a naive reader would judge one position: (scores of all items, target, negatives that count) -> loss.
NAIVE: dict[type, Callable[[Tensor, int, list[int]], Tensor]] = {
    CrossEntropy: lambda scores_N, target, _: -scores_N.log_softmax(0)[target],
    SampledCrossEntropy: lambda scores_N, target, others: -scores_N[[target, *others]].log_softmax(0)[0],
    BinaryCrossEntropy: lambda scores_N, target, others: (
        -logsigmoid(scores_N[target]) - logsigmoid(-scores_N[others]).sum()
    ),
}
NEEDING = {name: loss for name, loss in LOSSES.items() if loss.needs_negatives}


def table(weight_Ne: Tensor) -> TiedItems:
    """An item table over this very tensor."""
    items = TiedItems(*weight_Ne.shape)
    del items.weight_Nd
    items.weight_Nd = weight_Ne
    return items


def random_states_and_table(positions: int, items: int, seed: int = 0, width: int = 4) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    shapes = (positions, width), (items, width)
    return tuple(torch.randn(shape, generator=draws, dtype=torch.float64).requires_grad_() for shape in shapes)


def counted(drawn: Drawn, position: int, target: int) -> list[int]:
    """The drawn ids that count at a position, by the words of `Drawn`."""
    row = int(drawn.rows_T[position])
    ids = {"position": lambda: drawn.ids[position], "sequence": lambda: drawn.ids[row], "batch": lambda: drawn.ids}
    excluded = torch.zeros(drawn.ids.shape[-1], dtype=torch.bool)
    if drawn.excluded is not None:
        excluded = drawn.excluded[position if drawn.sharing == "position" else row]
    pairs = zip(ids[drawn.sharing]().tolist(), excluded.tolist(), strict=True)
    return [number for number, is_excluded in pairs if not is_excluded and number != target]


def naive(
    loss: Any, states_Te: Tensor, targets_T: Tensor, weight_Ne: Tensor, drawn: Drawn, weights_T: Tensor | None = None
) -> Tensor:
    """The loss position by position, candidate by candidate; torch finds the gradients."""
    total = torch.zeros((), dtype=states_Te.dtype)
    for position, target in enumerate(targets_T.tolist()):
        scores_N = weight_Ne @ states_Te[position]
        value = NAIVE[type(loss)](scores_N, target, counted(drawn, position, target))
        total = total + (value if weights_T is None else value * weights_T[position])
    return total


def agree(ours: Tensor, expected: Tensor, wanted: list[Tensor]) -> None:
    """Equal values, and equal gradients with respect to `wanted`, of a mean as `fit` takes it."""
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    gradients = (torch.autograd.grad(value / POSITIONS, wanted, retain_graph=True) for value in (ours, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@each_loss
@each("sampler", SAMPLERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradients_are_those_of_a_naive_reference(loss: Any, sampler: Uniform, weighted: bool) -> None:
    drawn = sampler.build(TRAIN).sample(BATCH, torch.Generator().manual_seed(3))
    states_Te, weight_Ne = random_states_and_table(POSITIONS, ITEMS)
    weights_T = torch.arange(POSITIONS, dtype=torch.float64) if weighted else None  # the first counts nothing
    ours = loss.build()(states_Te, BATCH.targets_T, table(weight_Ne), drawn, weights_T)
    expected = naive(loss, states_Te, BATCH.targets_T, weight_Ne, drawn, weights_T)
    assert ours.shape == ()
    agree(ours, expected, [states_Te, weight_Ne])


def test_the_samplers_above_leave_rows_with_few_negatives_and_with_none() -> None:
    drawn = SAMPLERS["position-window-9-without replacement"].build(TRAIN).sample(BATCH, torch.Generator())
    left_T = [len(counted(drawn, position, target)) for position, target in enumerate(BATCH.targets_T.tolist())]
    # 11 trained items less a window of 5, of 11, of 2 and of 5 items; never more than the 9 asked for
    assert left_T == [6] * 5 + [0] * 10 + [9] * 1 + [6] * 6


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
def test_gradients_are_those_of_finite_differences(loss: Any, sharing: Any) -> None:
    drawn = Uniform(count=4, sharing=sharing).build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    compute, weights_T = loss.build(), torch.linspace(0, 2, POSITIONS, dtype=torch.float64)

    def summed(states_Te: Tensor, weight_Ne: Tensor) -> Tensor:
        return compute(states_Te, BATCH.targets_T, table(weight_Ne), drawn, weights_T)

    assert torch.autograd.gradcheck(summed, random_states_and_table(POSITIONS, ITEMS, width=3))


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
def test_it_falls_as_the_targets_score_rises_and_rises_with_any_other_that_counts(loss: Any, sharing: Any) -> None:
    sampler = Uniform(count=6, sharing=sharing, exclude="target")
    drawn = sampler.build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    scores_TN = random_states_and_table(POSITIONS, ITEMS, width=ITEMS)[0].detach()
    items, compute = table(torch.eye(ITEMS, dtype=torch.float64)), loss.build()  # a state is its own row of scores
    before = compute(scores_TN, BATCH.targets_T, items, drawn)
    for position, target in enumerate(BATCH.targets_T.tolist()):
        others = counted(drawn, position, target) if loss.needs_negatives else set(range(ITEMS)) - {target}
        for item, direction in [(target, -1), *((other, 1) for other in others)]:
            raised_TN = scores_TN.clone()
            raised_TN[position, item] += 0.5
            assert direction * float(compute(raised_TN, BATCH.targets_T, items, drawn) - before) > 1e-4


def everything_else(targets_T: Tensor, number_of_items: int, sharing: Any) -> Drawn:
    """All items as negatives of one row; the loss itself leaves out the target."""
    ids_N = torch.arange(number_of_items)
    shape = {"position": (len(targets_T), -1), "sequence": (1, -1), "batch": (-1,)}[sharing]
    return Drawn(ids_N.expand(shape), sharing, torch.zeros_like(targets_T))


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_scores_give_exact_losses_and_finite_gradients(loss: Any, sharing: Any, dtype: torch.dtype) -> None:
    targets_T = torch.tensor([0, 0, 3])
    low, high = -1e4, 1e4
    scores_TN = torch.tensor([[low] + [high] * 4, [high] + [low] * 4, [0.0] * 5], dtype=dtype, requires_grad=True)
    weight_NN = torch.eye(5, dtype=dtype).requires_grad_()
    drawn = everything_else(targets_T, 5, sharing)
    value = loss.build()(scores_TN, targets_T, table(weight_NN), drawn)
    softmax = (2e4 + math.log(4)) + 0 + math.log(5)
    expected = {
        CrossEntropy: softmax,
        SampledCrossEntropy: softmax,
        BinaryCrossEntropy: 5 * 1e4 + 0 + 5 * math.log(2),
    }
    assert value.item() == pytest.approx(expected[type(loss)], rel=1e-6)
    value.backward()
    assert bool(scores_TN.grad.isfinite().all())
    assert bool(weight_NN.grad.isfinite().all())
    torch.testing.assert_close(scores_TN.grad[1], torch.zeros(5, dtype=dtype))  # nothing is left to be learnt
    assert scores_TN.grad[0, 0] == pytest.approx(-1)  # p − 1, σ − 1


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
def test_a_single_position_is_enough(loss: Any, sharing: Any) -> None:
    targets_T, (states_Te, weight_Ne) = torch.tensor([2]), random_states_and_table(1, ITEMS)
    drawn = everything_else(targets_T, ITEMS, sharing)
    ours = loss.build()(states_Te, targets_T, table(weight_Ne), drawn)
    agree(ours, naive(loss, states_Te, targets_T, weight_Ne, drawn), [states_Te, weight_Ne])


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
def test_no_position_costs_nothing(loss: Any, sharing: Any) -> None:
    targets_T, (states_Te, weight_Ne) = torch.tensor([], dtype=torch.int64), random_states_and_table(0, ITEMS)
    value = loss.build()(states_Te, targets_T, table(weight_Ne), everything_else(targets_T, ITEMS, sharing))
    value.backward()
    assert value == 0
    assert bool((weight_Ne.grad == 0).all())


@each_loss
def test_positions_add_up(loss: Any) -> None:
    drawn = Uniform(count=4).build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    states_Te, weight_Ne = random_states_and_table(POSITIONS, ITEMS)
    items, compute = table(weight_Ne), loss.build()
    parts = [
        compute(states_Te[t : t + 1], BATCH.targets_T[t : t + 1], items, Drawn(drawn.ids[t : t + 1], "position", row))
        for t, row in enumerate(BATCH.rows_T.split(1))
    ]
    whole = compute(states_Te, BATCH.targets_T, items, Drawn(drawn.ids, "position", BATCH.rows_T))
    agree(whole, torch.stack(parts).sum(), [states_Te, weight_Ne])


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
def test_the_value_is_the_same_without_gradients(loss: Any, sharing: Any) -> None:
    drawn = Uniform(count=4, sharing=sharing).build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    states_Te, weight_Ne = random_states_and_table(POSITIONS, ITEMS)
    compute = loss.build()
    with_gradients = compute(states_Te, BATCH.targets_T, table(weight_Ne), drawn)
    with torch.no_grad():
        without = compute(states_Te, BATCH.targets_T, table(weight_Ne), drawn)
    assert not without.requires_grad
    torch.testing.assert_close(without, with_gradients.detach(), rtol=1e-14, atol=0)


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("frozen", ["states", "items"])
def test_either_side_may_be_frozen(loss: Any, sharing: Any, frozen: str) -> None:
    drawn = Uniform(count=4, sharing=sharing).build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    states_Te, weight_Ne = random_states_and_table(POSITIONS, ITEMS)
    (states_Te if frozen == "states" else weight_Ne).requires_grad_(False)
    wanted = [weight_Ne if frozen == "states" else states_Te]
    ours = loss.build()(states_Te, BATCH.targets_T, table(weight_Ne), drawn)
    agree(ours, naive(loss, states_Te, BATCH.targets_T, weight_Ne, drawn), wanted)


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
def test_one_loss_object_serves_several_steps_and_types(loss: Any, sharing: Any) -> None:
    """What it keeps between steps (a scratch buffer) must not reach into gradients that are not taken yet."""
    drawn = Uniform(count=4, sharing=sharing).build(TRAIN).sample(BATCH, torch.Generator().manual_seed(0))
    first, second = (random_states_and_table(POSITIONS, ITEMS, seed) for seed in (1, 2))
    compute, targets_T = loss.build(), BATCH.targets_T
    ours = compute(first[0], targets_T, table(first[1]), drawn) + compute(second[0], targets_T, table(second[1]), drawn)
    expected = naive(loss, first[0], targets_T, first[1], drawn) + naive(loss, second[0], targets_T, second[1], drawn)
    single = compute(first[0].float(), targets_T, table(first[1].float()), drawn)
    agree(ours, expected, [*first, *second])
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), compute(first[0], targets_T, table(first[1]), drawn), rtol=1e-6, atol=0)


@each("loss", NEEDING)
def test_a_loss_that_needs_negatives_asks_for_them(loss: Any) -> None:
    states_Te, weight_Ne = random_states_and_table(POSITIONS, ITEMS)
    with pytest.raises(ConfigurationError, match=f"{loss.name} needs negatives; set e.g. negatives=uniform"):
        loss.build()(states_Te, BATCH.targets_T, table(weight_Ne))
