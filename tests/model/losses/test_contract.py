"""What every loss promises, in float64 unless a test says otherwise. T positions, e width, N items, K negatives."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.batches import Batch, Drawn
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses import BPR, GBCE, BinaryCrossEntropy, BPRMax, CrossEntropy, SampledCrossEntropy, TOP1Max
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import NextItem
from worlds.naive_losses import counted, naive
from worlds.shelves import LOSSES, each, each_loss, with_settings

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


# In these a negative that rises may draw weight away from a harder one.
WEIGHTED = (BPRMax, TOP1Max)
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


def agree(ours: Tensor, expected: Tensor, wanted: list[Tensor]) -> None:
    """Equal values, and equal gradients with respect to `wanted`, of a mean as `fit_model` takes it."""
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
    items = table(torch.eye(ITEMS, dtype=torch.float64))  # a state is its own row of scores
    compute = with_settings(loss, regularisation=0.0).build()
    before = compute(scores_TN, BATCH.targets_T, items, drawn)
    for position, target in enumerate(BATCH.targets_T.tolist()):
        others = counted(drawn, position, target) if loss.needs_negatives else set(range(ITEMS)) - {target}
        if isinstance(loss, WEIGHTED):
            highest = max(others, key=lambda item: float(scores_TN[position, item]))
            others = [highest] if float(scores_TN[position, highest]) > 0 else []  # below 0, s² falls as s rises
        for item, direction in [(target, -1), *((other, 1) for other in others)]:
            raised_TN = scores_TN.clone()
            raised_TN[position, item] += 0.5
            assert direction * float(compute(raised_TN, BATCH.targets_T, items, drawn) - before) > 1e-4


def everything_else(targets_T: Tensor, number_of_items: int, sharing: Any) -> Drawn:
    """All items as negatives of one row; the loss itself leaves out the target."""
    ids_N = torch.arange(number_of_items)
    shape = {"position": (len(targets_T), -1), "sequence": (1, -1), "batch": (-1,)}[sharing]
    ids = ids_N.expand(shape)
    log_q = torch.full(ids.shape, -math.log(number_of_items), dtype=torch.float64)
    target_log_q_T = torch.full(targets_T.shape, -math.log(number_of_items), dtype=torch.float64)
    return Drawn(ids, sharing, torch.zeros_like(targets_T), log_q=log_q, target_log_q_T=target_log_q_T)


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_scores_give_exact_losses_and_finite_gradients(loss: Any, sharing: Any, dtype: torch.dtype) -> None:
    targets_T = torch.tensor([0, 0, 3])
    low, high = -1e4, 1e4
    scores_TN = torch.tensor([[low] + [high] * 4, [high] + [low] * 4, [0.0] * 5], dtype=dtype, requires_grad=True)
    weight_NN = torch.eye(5, dtype=dtype).requires_grad_()
    drawn = everything_else(targets_T, 5, sharing)
    value = with_settings(loss, regularisation=0.0).build()(scores_TN, targets_T, table(weight_NN), drawn)
    softmax = (2e4 + math.log(4)) + 0 + math.log(5)
    bias = -math.log(5) if getattr(loss, "prior_bias", False) else 0.0
    logistic = (1e4 - bias + 4 * (1e4 + bias)) + 0 + (math.log1p(math.exp(-bias)) + 4 * math.log1p(math.exp(bias)))
    expected = {
        CrossEntropy: softmax,
        SampledCrossEntropy: softmax,
        BinaryCrossEntropy: logistic,
        GBCE: logistic,  # with as many negatives as there are items β is 1
        BPR: 2e4 + 0 + math.log(2),
        BPRMax: 2e4 + 0 + math.log(2),
        TOP1Max: (1 + 1) + (0 + 1) + (1 / 2 + 1 / 2),
    }
    assert value.item() == pytest.approx(expected[type(loss)], rel=1e-6)
    value.backward()
    assert bool(scores_TN.grad.isfinite().all())
    assert bool(weight_NN.grad.isfinite().all())
    torch.testing.assert_close(scores_TN.grad[1], torch.zeros(5, dtype=dtype))  # nothing is left to be learnt
    rounded = 1e-3 if isinstance(loss, BPRMax) else 1e-6  # logarithms near −2e4 have few digits left in float32
    slope = 0 if isinstance(loss, TOP1Max) else -1  # p − 1, σ − 1; TOP1 is flat there
    assert scores_TN.grad[0, 0] == pytest.approx(slope, rel=rounded)


@each_loss
@pytest.mark.parametrize("sharing", SHARINGS)
def test_no_position_loses_less_than_nothing(loss: Any, sharing: Any) -> None:
    """Scores up to 3,000, of which rounding makes differences of 10⁻⁴."""
    draws = torch.Generator().manual_seed(3)
    targets_T = torch.randint(5, (400,), generator=draws)
    scores_TN = 1000 * torch.randn(400, 5, generator=draws)
    built, items = loss.build(), table(torch.eye(5))
    for row in torch.arange(400).split(1):
        drawn = everything_else(targets_T[row], 5, sharing)
        assert built(scores_TN[row], targets_T[row], items, drawn) >= 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_scores_are_regularised_without_a_nan(dtype: torch.dtype) -> None:
    scores_TN = torch.tensor([[-1e4] + [1e4] * 4], dtype=dtype, requires_grad=True)
    targets_T = torch.tensor([0])
    drawn = everything_else(targets_T, 5, "batch")
    value = BPRMax(regularisation=0.5).build()(scores_TN, targets_T, table(torch.eye(5, dtype=dtype)), drawn)
    value.backward()
    assert value.item() == pytest.approx(2e4 + 0.5 * 1e8, rel=1e-6)
    assert scores_TN.grad is not None
    # The weights are 1/4 each: σ has slope 1 there, and the squares 0.5 · 2 · 1e4.
    expected = torch.tensor([[-1.0, *[(1 + 0.5 * 2 * 1e4) / 4] * 4]], dtype=dtype)
    torch.testing.assert_close(scores_TN.grad, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(prior_bias=True), GBCE(prior_bias=True)])
def test_with_a_prior_bias_a_target_and_its_negatives_pull_scores_of_0_equally_hard(loss: Any) -> None:
    scores_TN = torch.zeros(1, 400, dtype=torch.float64, requires_grad=True)
    drawn = Drawn(torch.arange(1, 301), "batch", torch.tensor([0]))
    loss.build()(scores_TN, torch.tensor([0]), table(torch.eye(400, dtype=torch.float64)), drawn).backward()
    assert scores_TN.grad is not None
    assert float(scores_TN.grad.sum()) == pytest.approx(0, abs=1e-12)
    assert float(scores_TN.grad[0, 0]) < -0.5


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
    items, compute, own = table(weight_Ne), loss.build(), ("ids", "rows_T", "excluded", "log_q", "target_log_q_T")
    parts = []
    for t in range(POSITIONS):
        of_one = {name: value[t : t + 1] for name in own if (value := getattr(drawn, name)) is not None}
        parts.append(compute(states_Te[t : t + 1], BATCH.targets_T[t : t + 1], items, replace(drawn, **of_one)))
    whole = compute(states_Te, BATCH.targets_T, items, drawn)
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
    with pytest.raises(ConfigurationError, match=rf"{loss.name} needs negatives; set e\.g\. negatives=\w+"):
        loss.build()(states_Te, BATCH.targets_T, table(weight_Ne))
