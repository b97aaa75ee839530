from typing import Literal

import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.batches import Drawn
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses.cross_entropy import CrossEntropyLoss
from nextitem.model.losses.sampled_cross_entropy import SampledCrossEntropyLoss
from nextitem.model.negatives import ByPopularity
from nextitem.model.objectives import NextItem


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


def test_the_revised_correction_has_the_gradient_of_the_paper() -> None:
    """−sg(1 − P⁺)·[s⁺ − log Σ_k exp(s_k − log(K·q_k / (1 − q⁺)))], Khrylchenko et al. 2025."""
    draws = torch.Generator().manual_seed(0)
    q_N = torch.tensor([0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05], dtype=torch.float64)
    items, targets_T = TiedItems(7, 4).double(), torch.tensor([0, 3, 6, 6, 1])
    torch.nn.init.normal_(items.weight_Nd, generator=draws)
    states_Te = torch.randn(5, 4, generator=draws, dtype=torch.float64).requires_grad_()
    ids_TK = torch.multinomial(q_N.expand(5, 7), 30, replacement=True, generator=draws)
    summed = torch.zeros((), dtype=torch.float64)
    for state_e, target, ids_K in zip(states_Te, targets_T.tolist(), ids_TK, strict=True):
        others = ids_K[ids_K != target]  # the paper draws from what is not the target
        scores_N = items.weight_Nd @ state_e
        corrected = scores_N[others] - (len(others) * q_N[others] / (1 - q_N[target])).log()
        share = scores_N[target].exp() / (scores_N[target].exp() + corrected.exp().sum())
        summed = summed - (1 - share.detach()) * (scores_N[target] - corrected.logsumexp(0))
    expected = torch.autograd.grad(summed, [states_Te, items.weight_Nd])
    rows_T = torch.arange(5)
    for sharing in ("position", "sequence"):
        drawn = Drawn(ids_TK, sharing, rows_T, log_q=q_N[ids_TK].log(), target_log_q_T=q_N[targets_T].log())
        value = SampledCrossEntropyLoss("revised")(states_Te, targets_T, items, drawn)
        for one, other in zip(torch.autograd.grad(value, [states_Te, items.weight_Nd]), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_revised_correction_makes_up_for_preferring_popular_items() -> None:
    """With many draws by popularity its gradient is that of the full softmax.

    That of the classical correction is not: the target is there once, and not as often as it would be drawn.
    """
    train = Sequences.of([[0] * 8 + [1] * 4 + [2] * 2 + [3, 4], [4, 3]], 5)
    batch = NextItem(maximum_length=1).batch(train.last(2).select(torch.tensor([1] * 8)), torch.Generator())
    items, draws = TiedItems(5, 3).double(), torch.Generator().manual_seed(0)
    torch.nn.init.normal_(items.weight_Nd, generator=draws)
    states_Te = torch.randn(8, 3, generator=draws, dtype=torch.float64).requires_grad_()
    sampler = ByPopularity(count=20_000, exponent=1.0, exclude="target").build(train)
    drawn = sampler.sample(batch, draws)
    (full_Te,) = torch.autograd.grad(CrossEntropyLoss()(states_Te, batch.targets_T, items), [states_Te])

    def error(log_q: Literal["off", "classical", "revised"]) -> float:
        value = SampledCrossEntropyLoss(log_q)(states_Te, batch.targets_T, items, drawn)
        (gradient_Te,) = torch.autograd.grad(value, [states_Te])
        return float((gradient_Te - full_Te).norm() / full_Te.norm())

    assert error("revised") < 0.03
    assert error("classical") > 0.2
    assert error("off") > 0.2


def test_a_correction_asks_for_probabilities() -> None:
    drawn = Drawn(torch.tensor([3]), "batch", torch.tensor([0]))
    with pytest.raises(ConfigurationError, match=r"loss\.log_q=revised needs negatives that say how likely they were"):
        SampledCrossEntropyLoss("revised")(torch.zeros(1, 2), torch.tensor([0]), TiedItems(5, 2), drawn)


def test_a_position_without_any_negative_costs_nothing() -> None:
    items, states_Te = TiedItems(5, 2), torch.randn(1, 2, requires_grad=True)
    drawn = Drawn(torch.tensor([[0, 3, 4]]), "sequence", torch.tensor([0]), torch.tensor([[True, False, True]]))
    value = SampledCrossEntropyLoss()(states_Te, torch.tensor([3]), items, drawn)
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)  # log₂ and back may round
    assert states_Te.grad is not None
    assert bool((states_Te.grad == 0).all())
