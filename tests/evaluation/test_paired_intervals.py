"""Means and differences over users and seeds: naive references, an outside oracle, and models that do not differ."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nextitem.errors import ConfigurationError
from nextitem.evaluation.intervals import bootstrap_means, holm, p_values, percentiles


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(draws: torch.Generator, seeds: int, users: int, seed_sd: float = 0.0, noise_sd: float = 0.15) -> Tensor:
    """Values of one metric, (S, U, 1), of mean 0: a user's part (sd 0.1), a seed's part, and noise of both together."""
    user, seed = torch.randn(1, users, generator=draws) * 0.1, torch.randn(seeds, 1, generator=draws) * seed_sd
    return (user + seed + torch.randn(seeds, users, generator=draws) * noise_sd)[:, :, None].double()


def standard_error(draws_RM: Tensor) -> float:
    return float(draws_RM.std())


def test_one_seed_is_the_bootstrap_over_users() -> None:
    values_SUM = model(seeded(1), seeds=1, users=400)
    (draws_RM,) = bootstrap_means([values_SUM], seeded(), resamples=4000)
    naive = torch.stack(
        [
            values_SUM[0, torch.randint(400, (400,), generator=draws)].mean(0)
            for draws in [seeded(2)]
            for _ in range(4000)
        ]
    )
    torch.testing.assert_close(percentiles(draws_RM), percentiles(naive), atol=0.001, rtol=0)


def test_the_variance_is_that_of_users_and_seeds_by_analysis_of_variance() -> None:
    values_SUM = model(seeded(3), seeds=30, users=300, seed_sd=0.03)
    (draws_RM,) = bootstrap_means([values_SUM], seeded(), resamples=8000)
    # Written out by hand, with the sums of squares of the two-way layout.
    table = values_SUM[:, :, 0].tolist()
    seeds, users = len(table), len(table[0])
    of_seed = [sum(row) / users for row in table]
    of_user = [sum(row[user] for row in table) / seeds for user in range(users)]
    mean = sum(of_seed) / seeds
    within = sum(
        (table[s][u] - of_seed[s] - of_user[u] + mean) ** 2 for s in range(seeds) for u in range(users)
    ) / ((seeds - 1) * (users - 1))  # fmt: skip
    between = sum((value - mean) ** 2 for value in of_seed) / (seeds - 1) - within / users
    by_users = sum((value - mean) ** 2 for value in of_user) / users**2
    # χ²(29)/29 in the denominator lifts the seeds' variance to that of Student's t, 29/27.
    expected = math.sqrt(by_users + between / seeds * 29 / 27)
    assert standard_error(draws_RM) == pytest.approx(expected, rel=0.05)


def test_seeds_that_differ_only_by_the_users_noise_add_nothing() -> None:
    """Every seed has the same mean, so all that is left to resample is users."""
    values_SUM = model(seeded(4), seeds=3, users=200)
    values_SUM = values_SUM - values_SUM.mean(1, keepdim=True)
    (draws_RM,) = bootstrap_means([values_SUM], seeded(5), resamples=500)
    (users_only,) = bootstrap_means([values_SUM.mean(0, keepdim=True)], seeded(5), resamples=500)
    torch.testing.assert_close(draws_RM, users_only)


def test_equal_seeds_of_a_model_that_draws_nothing_are_one() -> None:
    values_SUM = model(seeded(4), seeds=1, users=50)
    (thrice,) = bootstrap_means([values_SUM.expand(3, -1, -1)], seeded(5), resamples=200)
    (once,) = bootstrap_means([values_SUM], seeded(5), resamples=200)
    torch.testing.assert_close(thrice, once)


def test_a_model_beside_itself_differs_in_nothing() -> None:
    values_SUM = model(seeded(6), seeds=1, users=50)
    first, second = bootstrap_means([values_SUM, values_SUM], seeded(), resamples=200)
    assert torch.equal(first, second)
    assert p_values(first - second).tolist() == [1.0]


def test_pairing_by_user_makes_a_small_difference_certain() -> None:
    """A hundredth more for everybody, beside a spread between users of a tenth."""
    values_SUM = model(seeded(7), seeds=1, users=60)
    noise = 0.001 * torch.randn(1, 60, 1, generator=seeded(8), dtype=torch.float64)
    first, second = bootstrap_means([values_SUM + 0.01 + noise, values_SUM], seeded(), resamples=1000)
    assert float(p_values(first - second)) == pytest.approx(2 / 1001)
    assert standard_error(first) > 0.01


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (2, 0.0), (3, 0.006), (3, 0.03), (5, 0.006)])
def test_where_nothing_differs_at_most_about_one_in_twenty_tests_says_so(seeds: int, seed_sd: float) -> None:
    """False positives of 400 comparisons of equal models at 5 %; three standard errors of that share are 3.3 %.

    Few seeds that differ much are answered with caution, so below there is room.
    """
    draws, found = seeded(seeds), 0
    for _ in range(400):
        pair = [model(draws, seeds, 80, seed_sd), model(draws, seeds, 80, seed_sd)]
        first, second = bootstrap_means(pair, draws, resamples=200)
        found += float(p_values(first - second)) <= 0.05
    assert 0.005 < found / 400 < 0.05 + 0.033


def test_a_paired_t_test_agrees() -> None:
    stats = pytest.importorskip("scipy.stats")  # comes along with the oracle of the metrics
    first_SUM, second_SUM = model(seeded(9), 1, 500), model(seeded(10), 1, 500)
    for shift in (0.0, 0.02, 0.03):
        first, second = bootstrap_means([first_SUM + shift, second_SUM], seeded(), resamples=4000)
        expected = stats.ttest_rel((first_SUM + shift).flatten().numpy(), second_SUM.flatten().numpy())
        assert float(p_values(first - second)) == pytest.approx(float(expected.pvalue), abs=0.05)
        low, high = percentiles(first - second)[0].tolist()
        oracle = expected.confidence_interval()
        assert (low, high) == pytest.approx((float(oracle.low), float(oracle.high)), abs=0.0015)


def test_metrics_share_their_resamples() -> None:
    values_SUM = model(seeded(11), seeds=3, users=40, seed_sd=0.1)
    (both,) = bootstrap_means([torch.cat([values_SUM, 1 + 2 * values_SUM], 2)], seeded(), resamples=100)
    torch.testing.assert_close(both[:, 1], 1 + 2 * both[:, 0])


def test_many_users_are_resampled_in_blocks_to_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values_SUM = model(seeded(12), seeds=2, users=30)
    (whole,) = bootstrap_means([values_SUM], seeded(), resamples=64)
    monkeypatch.setattr("nextitem.evaluation.intervals._BLOCK", 90)
    (in_blocks,) = bootstrap_means([values_SUM], seeded(), resamples=64)
    torch.testing.assert_close(whole, in_blocks)


@pytest.mark.parametrize("shape", [(0, 3, 1), (1, 0, 1), (1, 4, 1)])
def test_unequal_or_no_users_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigurationError, match="models are compared on the same users, at least one, with at least"):
        bootstrap_means([torch.zeros(1, 3, 1) if shape[1] == 4 else torch.zeros(shape), torch.zeros(shape)], seeded())


def test_a_p_value_counts_both_tails() -> None:
    assert p_values(torch.tensor([[-1.0], [2.0], [3.0], [4.0]])).tolist() == [2 * (1 + 1) / 5]
    assert p_values(torch.tensor([[-1.0], [1.0]])).tolist() == [1.0]


def naive_holm(p: list[float]) -> list[float]:
    """For each hypothesis the smallest α at which the step-down procedure rejects it."""
    levels = sorted({min(1.0, value * factor) for value in p for factor in range(1, len(p) + 1)} | {1.0})

    def rejected(alpha: float) -> set[int]:
        found: set[int] = set()
        for step, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
            if p[index] * (len(p) - step) > alpha:
                break
            found.add(index)
        return found

    return [next((alpha for alpha in levels if index in rejected(alpha)), 1.0) for index in range(len(p))]


@given(st.lists(st.floats(0.001, 1), max_size=6))
def test_holm_is_the_least_level_that_the_step_down_procedure_rejects_at(p: list[float]) -> None:
    assert holm(p) == pytest.approx(naive_holm(p))
