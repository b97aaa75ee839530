"""What a difference of two models is where rounding alone tells them apart: 0, in every draw."""

import math

import pytest
import torch
from torch import Tensor

from nextitem.evaluation.draws import bootstrap
from nextitem.evaluation.intervals import p_values

NDCG = torch.tensor([1 / math.log2(rank + 1) for rank in range(1, 11)], dtype=torch.float64)


def difference_of(first: Tensor, second: Tensor) -> Tensor:
    """Draws of the first model's mean less the second's."""
    draws = torch.Generator().manual_seed(0)
    (drawn_RM,) = bootstrap([first, second], draws, pairs=[(0, 1)], resamples=4000).differences
    return drawn_RM


def drawn_ranks(seeds: int) -> Tensor:
    return NDCG[torch.randint(10, (seeds, 1000, 1), generator=torch.Generator().manual_seed(5))]


def test_the_order_of_seeds_is_no_difference() -> None:
    """Half of the users get the same values from other seeds: means over seeds are rounded otherwise, and no more."""
    values_SUM = drawn_ranks(3)
    others_SUM = values_SUM.clone()
    others_SUM[:, 500:] = values_SUM[[1, 2, 0], 500:]
    assert bool((values_SUM.mean(0) != others_SUM.mean(0)).any())
    drawn_RM = difference_of(values_SUM, others_SUM)
    assert drawn_RM.abs().max() == 0
    assert p_values(drawn_RM).tolist() == [1.0]
    others_SUM[0, 500], values_SUM[0, 500] = 0.0, 1.0
    p = float(p_values(difference_of(values_SUM, others_SUM)))
    assert p == pytest.approx(2 * 0.999**1000, abs=0.06)


def test_as_many_seeds_that_are_all_alike_differ_in_nothing_from_one() -> None:
    values_SUM = drawn_ranks(1)
    assert difference_of(values_SUM.expand(3, -1, -1), values_SUM).abs().max() == 0


def test_gains_and_losses_of_equal_size_leave_nothing() -> None:
    """Of a thousand users six trade places: no draw is so near to 0 that its sign is that of a rounding."""
    values_SUM = torch.full((1, 1000, 1), float(NDCG[4]), dtype=torch.float64)
    others_SUM = values_SUM.clone()
    values_SUM[0, :6, 0], others_SUM[0, :6, 0] = NDCG[[3, 7, 1, 2, 9, 5]], NDCG[[1, 2, 3, 7, 5, 9]]
    drawn_RM = difference_of(values_SUM, others_SUM)
    assert float(drawn_RM[drawn_RM != 0].abs().min()) > 1e-6
    assert bool((drawn_RM == 0).any())
