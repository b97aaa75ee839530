"""A loss with a teacher beside its targets, against its equation in float64. T positions, M items, e width, N items."""

import pytest
import torch
from torch import Tensor

from nextitem.model.batches import Batch, Taught, cut
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses import CrossEntropy
from nextitem.model.losses.taught import taught_loss

T, M, N, E = 7, 3, 9, 4


def states_and_table() -> tuple[Tensor, TiedItems]:
    draws = torch.Generator().manual_seed(0)
    states_Te = (2 * torch.randn(T, E, generator=draws, dtype=torch.float64)).requires_grad_()
    items = TiedItems(N, E).double()
    torch.nn.init.normal_(items.weight_Nd, generator=draws)
    return states_Te, items


def taught(weight: float, temperature: float) -> Taught:
    draws = torch.Generator().manual_seed(1)
    items_TM = torch.rand(T, N, generator=draws).argsort(1)[:, :M]
    return Taught(items_TM.int(), torch.rand(T, M, generator=draws).softmax(1), weight, temperature)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradients_are_those_of_the_equation(temperature: float, weight: float, weighted: bool) -> None:
    (states_Te, items), told = states_and_table(), taught(weight, temperature)
    targets_T = torch.tensor([0, 8, 3, 3, 1, 7, 2])
    weights_T = torch.linspace(0, 2, T, dtype=torch.float64) if weighted else None
    scores_TN = states_Te @ items.weight_Nd.T
    shares_TN = torch.zeros(T, N, dtype=torch.float64).scatter(1, told.items_TM.long(), told.shares_TM.double())
    hard_T = -scores_TN.log_softmax(1)[torch.arange(T), targets_T]
    soft_T = -(shares_TN * (scores_TN / temperature).log_softmax(1)).sum(1)
    naive_T = (1 - weight) * hard_T + weight * temperature**2 * soft_T
    naive = (naive_T if weights_T is None else weights_T * naive_T).sum()
    loss = CrossEntropy(block_rows=16, tile_items=4).build()
    ours = taught_loss(loss, states_Te, targets_T, items, weights_T, told)
    # The teacher's shares are float32, and sum to 1 within that.
    torch.testing.assert_close(ours, naive, rtol=1e-6, atol=1e-6)
    wanted = [states_Te, items.weight_Nd]
    for one, other in zip(torch.autograd.grad(ours, wanted), torch.autograd.grad(naive, wanted), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_no_scores_of_all_positions_and_no_vectors_of_all_their_items_are_held() -> None:
    (states_Te, items), told = states_and_table(), taught(0.5, 2.0)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one.numel()) or one, lambda one: one):
        taught_loss(CrossEntropy().build(), states_Te, torch.zeros(T, dtype=torch.int64), items, None, told)
    assert max(kept) <= max(T * E, N * E)


def test_some_rows_of_a_step_have_their_own_part_of_what_is_taught() -> None:
    rows_T = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    batch = Batch(
        torch.zeros(3, 3, dtype=torch.int64), torch.tensor([2, 3, 2]), rows_T * 3, rows_T, rows_T, torch.zeros(3),
        taught=taught(0.5, 1.0),
    )  # fmt: skip
    part, _ = cut(batch, None, slice(1, 3))
    assert part.taught is not None
    assert batch.taught is not None
    assert torch.equal(part.taught.items_TM, batch.taught.items_TM[2:])
    assert torch.equal(part.taught.shares_TM, batch.taught.shares_TM[2:])
