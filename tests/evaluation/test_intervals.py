import pytest
import torch

from nextitem.errors import ConfigurationError
from nextitem.evaluation.intervals import bootstrap_interval


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    draws = seeded(1)
    held = 0
    for _ in range(200):
        values_C1 = torch.rand(50, 1, generator=draws, dtype=torch.float64)  # true mean 1/2
        ((low, high),) = bootstrap_interval(values_C1, draws, resamples=200, confidence=0.9).tolist()
        held += low <= 0.5 <= high
    assert 0.9 - 3 * (0.9 * 0.1 / 200) ** 0.5 < held / 200 < 0.9 + 3 * (0.9 * 0.1 / 200) ** 0.5


def test_the_interval_is_as_wide_as_the_normal_law_says() -> None:
    values_C1 = (torch.arange(1000) % 2).double()[:, None]  # mean 1/2, deviation 1/2
    ((low, high),) = bootstrap_interval(values_C1, seeded(), resamples=2000).tolist()
    standard_error = 0.5 / 1000**0.5
    assert low == pytest.approx(0.5 - 1.96 * standard_error, abs=0.15 * standard_error)
    assert high == pytest.approx(0.5 + 1.96 * standard_error, abs=0.15 * standard_error)


def test_more_confidence_asks_for_a_wider_interval() -> None:
    values_C1 = torch.rand(40, 1, generator=seeded(2))
    widths = [
        float(bootstrap_interval(values_C1, seeded(), confidence=confidence).diff().item())
        for confidence in (0.5, 0.8, 0.95)
    ]
    assert widths == sorted(widths)
    assert widths[0] > 0


def test_one_seed_gives_one_interval() -> None:
    values_CM = torch.rand(30, 2, generator=seeded(3))
    first = bootstrap_interval(values_CM, seeded(4), resamples=100)
    assert torch.equal(first, bootstrap_interval(values_CM, seeded(4), resamples=100))
    assert not torch.equal(first, bootstrap_interval(values_CM, seeded(5), resamples=100))
    assert (first.shape, first.dtype) == ((2, 2), torch.float64)


def test_columns_share_their_resamples() -> None:
    values_C = torch.rand(30, generator=seeded(6), dtype=torch.float64)
    both = bootstrap_interval(torch.stack([values_C, 1 + 2 * values_C], 1), seeded(), resamples=200)
    torch.testing.assert_close(both[1], 1 + 2 * both[0])
    alone = bootstrap_interval(values_C[:, None], seeded(), resamples=200)
    torch.testing.assert_close(both[:1], alone)


def test_a_constant_column_has_no_width() -> None:
    assert bootstrap_interval(torch.full((7, 1), 0.25), seeded(), resamples=50).tolist() == [[0.25, 0.25]]


def test_one_case_is_its_own_interval() -> None:
    assert bootstrap_interval(torch.tensor([[0.5, 1.0]]), seeded(), resamples=50).tolist() == [[0.5, 0.5], [1.0, 1.0]]


def test_no_case_has_no_interval() -> None:
    with pytest.raises(ConfigurationError, match="an interval needs at least one case, got 0"):
        bootstrap_interval(torch.zeros(0, 2), seeded())
