"""Mixtures of logits: values and gradients of a naive reference. T positions, d width of vectors, N items."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.batches import Batch, StepShapes
from nextitem.model.items import Mixture
from nextitem.model.items.mixture import MixtureItems
from nextitem.model.losses import CrossEntropy, SampledCrossEntropy, pairwise
from nextitem.model.negatives import ByPopularity, Uniform
from nextitem.model.objectives import NextItem

ITEMS, DIM, WIDTH = 12, 4, 5
TRAIN = Sequences.of([[0, 1, 2, 1], [3, 4, 5, 6], [7, 8]], ITEMS)
BATCH: Batch = NextItem().batch(NextItem().windows(TRAIN), torch.Generator())
GATES = ("apart", "crossed")


def drawn_from(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(gate: Any, **settings: Any) -> MixtureItems:
    items = Mixture(state_components=2, item_components=3, component_dim=4, temperature=0.5, gate=gate, **settings)
    table = items.build(ITEMS, DIM, WIDTH).double()
    with torch.no_grad():
        for number, weight in enumerate(table.parameters()):
            weight.copy_(drawn_from(1 + number, *weight.shape))
    return table


def states() -> Tensor:
    return drawn_from(0, len(BATCH.targets_T), WIDTH).requires_grad_()


def naive(states_Td: Tensor, table: MixtureItems) -> Tensor:
    """Score by score and pair by pair, from the formula of the class."""
    w = {name.removeprefix("components."): weight for name, weight in table.named_parameters()}

    def line(name: str, x: Tensor) -> Tensor:
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    scores = []
    for u in states_Td:
        for x in w["table.weight_Nd"]:
            f, g = line("of_state", u).view(2, 4), line("of_item", x).view(3, 4)
            cosines = [(f[s] @ g[i]) / (f[s].norm() * g[i].norm()) / 0.5 for s in range(2) for i in range(3)]
            a, b, logits = line("gate_of_state", u), line("gate_of_item", x), torch.stack(cosines)
            if table.components.gate == "apart":
                gates = [(16 * torch.tanh(a[p] / 16) + 16 * torch.tanh(b[p] / 16)).exp() for p in range(6)]
            else:
                inner = a * b + line("crossing", logits)
                gates = [(inner[p] / (1 + (-inner[p]).exp())).exp() for p in range(6)]
            shares = torch.stack(gates) / sum(gates)
            scores.append((shares * logits).sum())
    return torch.stack(scores).view(len(states_Td), -1)


def agree(ours: Tensor, expected: Tensor, wanted: list[Tensor]) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    for one, other in zip(torch.autograd.grad(ours, wanted), torch.autograd.grad(expected, wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_softmax_in_blocks_and_all_gradients_are_those_of_naive_scores(
    gate: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairwise, "_BLOCK_BYTES", 3 * ITEMS * built(gate).pair_bytes)
    table, states_Td = built(gate), states()
    weights_T = torch.arange(len(states_Td), dtype=torch.float64) if weighted else None
    ours = CrossEntropy().build()(table.to_score(states_Td), BATCH.targets_T, table, None, weights_T)
    losses_T = cross_entropy(naive(states_Td, table), BATCH.targets_T, reduction="none")
    expected = losses_T.sum() if weights_T is None else (losses_T * weights_T).sum()
    agree(ours, expected, [states_Td, *table.parameters()])


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_a_sampled_softmax_with_correction_has_the_gradients_of_naive_scores(gate: str, sharing: Any) -> None:
    table, states_Td = built(gate), states()
    sampler = ByPopularity(count=4, sharing=sharing).build(TRAIN)
    drawn = sampler.sample(BATCH, torch.Generator().manual_seed(0))
    ours = SampledCrossEntropy(log_q="classical").build()(table.to_score(states_Td), BATCH.targets_T, table, drawn)
    own = {"position": slice(None), "sequence": drawn.rows_T, "batch": None}[drawn.sharing]
    ids_TK, log_q_TK = drawn.ids[own], drawn.log_q[own].double()
    all_TN, expected = naive(states_Td, table), torch.zeros((), dtype=torch.float64)
    is_out_TK = drawn.is_out(BATCH.targets_T)
    for t, target in enumerate(BATCH.targets_T.tolist()):
        row, target_q = min(t, len(ids_TK) - 1), drawn.target_log_q_T[t].double().exp()
        is_drawn_K = log_q_TK[row] > -torch.inf
        expected_K = is_drawn_K.sum() * log_q_TK[row].exp()
        counts_K = is_drawn_K & ~is_out_TK[t]
        negative = (all_TN[t, ids_TK[row]].exp() / expected_K)[counts_K].sum()
        positive = all_TN[t, target].exp() / (is_drawn_K.sum() * target_q if target_q else 1)
        expected = expected - (positive / (positive + negative)).log()
    agree(ours, expected, [states_Td, *table.parameters()])


def test_gates_that_are_sure_of_different_pairs_leave_scores_and_gradients_finite() -> None:
    table = built("apart").float()
    with torch.no_grad():
        table.components.gate_of_state.bias.copy_(torch.tensor([1e4, 0, 0, 0, 0, -1e4]))
        table.components.gate_of_item.bias.copy_(torch.tensor([-1e4, 0, 0, 0, 0, 1e4]))
    states_Td = states().float().detach().requires_grad_()
    loss = CrossEntropy().build()(table.to_score(states_Td), BATCH.targets_T, table)
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(weight.grad.isfinite().all()) for weight in table.parameters() if weight.grad is not None)


def test_no_score_leaves_one_over_the_temperature() -> None:
    for gate in GATES:
        table = built(gate)
        assert float(table.scores(table.to_score(states()), 0, ITEMS).detach().abs().max()) <= 2.0 + 1e-9


def test_what_a_step_takes_is_one_block_of_pairs() -> None:
    few, many = (StepShapes(t, 4, 10, 272, 3416, pair_bytes=24) for t in (1000, 100_000))
    blocks = [CrossEntropy().bytes(shapes) - shapes.states_bytes for shapes in (few, many)]
    assert blocks[0] == blocks[1] == 3 * 3416 * 272 * 4 + (2**25 // (3416 * 24)) * 3416 * 24


def test_products_in_bfloat16_are_refused_and_negatives_of_any_sharing_go() -> None:
    with pytest.raises(ConfigurationError, match=r"loss\.precision=bfloat16 is of products.*loss\.precision=float32"):
        SequenceRecipe(items=Mixture(), loss=CrossEntropy(precision="bfloat16"))
    SequenceRecipe(items=Mixture(), loss=SampledCrossEntropy(), negatives=Uniform(count=4, sharing="batch"))
