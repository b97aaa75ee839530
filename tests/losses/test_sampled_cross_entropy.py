import pytest
import torch

from nextitem.batches import Drawn
from nextitem.items import TiedItems
from nextitem.losses.sampled_cross_entropy import SampledCrossEntropyLoss


def test_candidates_shared_by_more_positions_than_a_block_holds_change_nothing() -> None:
    positions, items, draws = 1100, TiedItems(12, 4).double(), torch.Generator().manual_seed(0)
    states_Te = torch.randn(positions, 4, generator=draws, dtype=torch.float64).requires_grad_()
    targets_T = torch.randint(12, (positions,), generator=draws)
    rows_T = torch.randint(3, (positions,), generator=draws).sort().values
    ids_K, excluded_BK = torch.randint(12, (7,), generator=draws), torch.rand(3, 7, generator=draws) < 0.3
    drawn = Drawn(ids_K, "batch", rows_T, excluded_BK)
    value = SampledCrossEntropyLoss()(states_Te, targets_T, items, drawn)

    scores_TN = states_Te @ items.weight_Nd.T
    is_out_TK = excluded_BK[rows_T] | (ids_K == targets_T[:, None])
    target_T1 = scores_TN.gather(1, targets_T[:, None])
    candidates_TK = torch.cat([target_T1, scores_TN[:, ids_K].masked_fill(is_out_TK, -torch.inf)], 1)
    expected = (candidates_TK.logsumexp(1) - target_T1[:, 0]).sum()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for one, other in zip(
        torch.autograd.grad(value, [states_Te, items.weight_Nd]),
        torch.autograd.grad(expected, [states_Te, items.weight_Nd]),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_a_position_without_any_negative_costs_nothing() -> None:
    items, states_Te = TiedItems(5, 2), torch.randn(1, 2, requires_grad=True)
    drawn = Drawn(torch.tensor([[0, 3, 4]]), "sequence", torch.tensor([0]), torch.tensor([[True, False, True]]))
    value = SampledCrossEntropyLoss()(states_Te, torch.tensor([3]), items, drawn)
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)  # log₂ and back may round
    assert states_Te.grad is not None
    assert bool((states_Te.grad == 0).all())
