"""Means and differences over users and seeds: naive references, an outside oracle, and models that do not differ."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nextitem.errors import ConfigurationError
from nextitem.evaluation.draws import bootstrap
from nextitem.evaluation.intervals import holm, p_values, percentiles
from worlds.error_rates import SEEDS, SPREADS, rates


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(draws: torch.Generator, seeds: int, users: int, seed_sd: float = 0.0, noise_sd: float = 0.05) -> Tensor:
    """Values of one metric, (S, U, 1), of mean 1/2: a user's part (sd 0.03), a seed's part, and noise of both."""
    user, seed = torch.randn(1, users, generator=draws) * 0.03, torch.randn(seeds, 1, generator=draws) * seed_sd
    return (0.5 + user + seed + torch.randn(seeds, users, generator=draws) * noise_sd)[:, :, None].double().clamp(0, 1)


def mean_of(values_SUM: Tensor, seed: int = 0, resamples: int = 4000) -> Tensor:
    """Draws of one model's mean."""
    (draws_RM,) = bootstrap([values_SUM], seeded(seed), resamples=resamples).means
    return draws_RM


def difference_of(first: Tensor, second: Tensor, is_fixed: tuple[bool, bool] = (False, False), seed: int = 0) -> Tensor:
    """Draws of the first model's mean less the second's."""
    (draws_RM,) = bootstrap(
        [first, second], seeded(seed), pairs=[(0, 1)], is_fixed=is_fixed, resamples=4000
    ).differences
    return draws_RM


def standard_error(draws_RM: Tensor) -> float:
    return float(draws_RM.std())


# Users.


def test_one_seed_is_the_bootstrap_over_users() -> None:
    values_SUM = model(seeded(1), seeds=1, users=400)
    naive = torch.stack(
        [
            values_SUM[0, torch.randint(400, (400,), generator=draws)].mean(0)
            for draws in [seeded(2)]
            for _ in range(4000)
        ]
    )
    torch.testing.assert_close(percentiles(mean_of(values_SUM)), percentiles(naive), atol=0.001, rtol=0)


@pytest.mark.parametrize("better", [0.1, 1 / 3, 0.6309])
def test_one_user_who_differs_is_drawn_or_not(better: float) -> None:
    """Of 1,000 users one is better off: a draw without that user is exactly 0, and (1 − 1/1000)¹⁰⁰⁰ of them are."""
    values_SUM = torch.rand(1, 1000, 1, generator=seeded(3), dtype=torch.float64)
    others = values_SUM.clone()
    values_SUM[0, 500], others[0, 500] = better, 0.0
    drawn_RM = difference_of(values_SUM, others)
    assert float((drawn_RM == 0).double().mean()) == pytest.approx(0.999**1000, abs=0.03)
    assert float(drawn_RM.min()) == 0
    assert float(p_values(drawn_RM)) == pytest.approx(2 * 0.999**1000, abs=0.06)
    assert percentiles(drawn_RM)[0, 0] == 0


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_model_beside_its_equal_differs_in_nothing(seeds: int) -> None:
    values_SUM = model(seeded(6), seeds=seeds, users=50, seed_sd=0.02)
    drawn_RM = difference_of(values_SUM, values_SUM.clone())
    assert drawn_RM.abs().max() == 0
    assert p_values(drawn_RM).tolist() == [1.0]
    assert percentiles(drawn_RM).tolist() == [[0.0, 0.0]]


def test_models_that_are_equal_in_one_metric_differ_in_nothing_there() -> None:
    first, second = model(seeded(1), 3, 50, 0.02), model(seeded(2), 3, 50, 0.02)
    drawn_RM = difference_of(torch.cat([first, first], 2), torch.cat([first, second], 2))
    assert drawn_RM[:, 0].abs().max() == 0
    assert standard_error(drawn_RM[:, 1]) > 0.005


def test_pairing_by_user_makes_a_small_difference_certain() -> None:
    """A hundredth more for everybody, beside a spread between users of several."""
    values_SUM = model(seeded(7), seeds=1, users=60)
    noise = 0.001 * torch.randn(1, 60, 1, generator=seeded(8), dtype=torch.float64)
    assert float(p_values(difference_of(values_SUM + 0.01 + noise, values_SUM))) == pytest.approx(2 / 4001)
    assert standard_error(mean_of(values_SUM)) > 0.005


def test_a_paired_t_test_agrees() -> None:
    stats = pytest.importorskip("scipy.stats")  # comes along with the oracle of the metrics
    first_SUM, second_SUM = model(seeded(9), 1, 500), model(seeded(10), 1, 500)
    for shift in (0.0, 0.006, 0.009):
        drawn_RM = difference_of(first_SUM + shift, second_SUM)
        expected = stats.ttest_rel((first_SUM + shift).flatten().numpy(), second_SUM.flatten().numpy())
        assert float(p_values(drawn_RM)) == pytest.approx(float(expected.pvalue), abs=0.05)
        low, high = percentiles(drawn_RM)[0].tolist()
        oracle = expected.confidence_interval()
        assert (low, high) == pytest.approx((float(oracle.low), float(oracle.high)), abs=0.0007)


# Seeds.


def test_the_variance_is_that_of_users_and_seeds_by_analysis_of_variance() -> None:
    values_SUM = model(seeded(3), seeds=30, users=300, seed_sd=0.01)
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
    assert standard_error(mean_of(values_SUM, resamples=8000)) == pytest.approx(expected, rel=0.05)


def test_seeds_that_differ_only_by_the_users_noise_add_nothing() -> None:
    """Every seed has the same mean, so all that is left to resample is users."""
    values_SUM = model(seeded(4), seeds=3, users=200)
    values_SUM = values_SUM - values_SUM.mean(1, keepdim=True) + 0.5
    torch.testing.assert_close(mean_of(values_SUM, 5), mean_of(values_SUM.mean(0, keepdim=True), 5))


def test_equal_seeds_of_a_model_that_draws_nothing_are_one() -> None:
    values_SUM = model(seeded(4), seeds=1, users=50)
    torch.testing.assert_close(mean_of(values_SUM.expand(3, -1, -1), 5), mean_of(values_SUM, 5))


@pytest.mark.parametrize(("seeds", "quantile"), [(2, 12.71), (3, 4.30), (6, 2.57)])
def test_few_seeds_have_students_tails(seeds: int, quantile: float) -> None:
    """Users who all agree leave the seeds alone, near 1/2 where the scale of draws is straight."""
    offsets_S = torch.linspace(-1, 1, seeds, dtype=torch.float64) * 1e-4
    values_SUM = (0.5 + offsets_S[:, None, None]).expand(-1, 40, 1)
    low, high = percentiles(mean_of(values_SUM, resamples=40_000))[0].tolist()
    expected = quantile * float(offsets_S.std()) / math.sqrt(seeds)
    assert (0.5 - low, high - 0.5) == pytest.approx((expected, expected), rel=0.12)


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("mean", [0.0, 1e-5, 0.015, 0.5, 0.999, 1.0])
def test_intervals_lie_within_what_a_mean_can_be(seeds: int, mean: float) -> None:
    """However far apart two seeds are."""
    draws = seeded(seeds)
    values_SUM = torch.rand(seeds, 100, 1, generator=draws, dtype=torch.float64) < mean + 0.005 * (mean not in (0, 1))
    values_SUM = values_SUM.double()
    low, high = percentiles(mean_of(values_SUM))[0].tolist()
    assert 0 <= low <= float(values_SUM.mean()) <= high <= 1
    other = torch.rand(2, 100, 1, generator=draws, dtype=torch.float64)
    for drawn_RM in (difference_of(values_SUM, other), difference_of(other, values_SUM)):
        assert float(drawn_RM.abs().max()) <= 1
        assert bool(drawn_RM.isfinite().all())


def test_of_two_seeds_far_apart_nothing_is_known() -> None:
    values_SUM = torch.tensor([0.010, 0.020], dtype=torch.float64)[:, None, None].expand(-1, 500, 1)
    low, high = percentiles(mean_of(values_SUM))[0].tolist()
    assert low < 0.001
    assert high > 0.5


def test_a_lone_seed_borrows_the_spread_of_the_other_model() -> None:
    several = model(seeded(5), seeds=6, users=300, seed_sd=0.02)
    lone = several[:1].flip(1)
    (own, alone), (drawn_RM,) = (
        (found := bootstrap([several, lone], seeded(), pairs=[(0, 1)])).means, found.differences
    )  # fmt: skip
    by_seed = float(several.mean(1).std())
    assert standard_error(drawn_RM) > 0.95 * by_seed * math.sqrt(1 + 1 / 6)
    assert standard_error(own) > 0.95 * by_seed / math.sqrt(6)
    assert standard_error(alone) < 0.2 * by_seed  # its own interval is of users


def test_two_lone_seeds_and_models_without_luck_are_told_apart_by_users() -> None:
    lone, other = model(seeded(5), 1, 300), model(seeded(6), 1, 300)
    by_users = standard_error(difference_of(lone, other))
    assert by_users == pytest.approx(float((lone - other).std()) / math.sqrt(300), rel=0.05)
    counts = other.expand(3, -1, -1)  # popularity of three seeds
    assert standard_error(difference_of(lone, counts, (False, True))) == pytest.approx(by_users, rel=0.01)
    several = model(seeded(7), 3, 300, seed_sd=0.02)
    beside_counts = standard_error(difference_of(several, other, (False, True)))
    assert beside_counts < standard_error(difference_of(several, other)) / 1.5  # nothing is borrowed


# The whole.


def test_metrics_share_their_resamples() -> None:
    values_SUM = model(seeded(11), seeds=3, users=40, seed_sd=0.02)
    (low, high), (other_low, other_high) = percentiles(mean_of(torch.cat([values_SUM, 1 - values_SUM], 2))).tolist()
    assert (low, high) == pytest.approx((1 - other_high, 1 - other_low), rel=0.05)
    of_users = mean_of(torch.cat([values_SUM[:1], 1 - values_SUM[:1]], 2))
    torch.testing.assert_close(of_users[:, 0], 1 - of_users[:, 1])


def test_many_users_are_resampled_in_blocks_to_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values_SUM = model(seeded(12), seeds=2, users=30)
    whole = mean_of(values_SUM, resamples=64)
    monkeypatch.setattr("nextitem.evaluation.intervals._BLOCK", 90)
    torch.testing.assert_close(whole, mean_of(values_SUM, resamples=64))


@pytest.mark.parametrize("shape", [(0, 3, 1), (1, 0, 1), (1, 4, 1)])
def test_unequal_or_no_users_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigurationError, match="models are compared on the same users, at least one, with at least"):
        bootstrap([torch.zeros(1, 3, 1) if shape[1] == 4 else torch.zeros(shape), torch.zeros(shape)], seeded())


@pytest.mark.parametrize("value", [-0.1, 7.5, math.nan])
def test_what_is_no_share_is_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match="means are compared of metrics between 0 and 1; got values from"):
        bootstrap([torch.full((1, 3, 1), value)], seeded())


# How often it errs. Where nothing differs, a share of 8.3 % is 5 % and three standard errors of 400 comparisons.


@pytest.mark.parametrize("setting", [((1, 1), "none"), ((3, 1), "large"), ((3, 3), "small"), ((3, 3), "large")])
def test_where_nothing_differs_few_tests_say_so(setting: Any) -> None:
    seeds, spread = setting
    found = rates(seeds, spread, comparisons=60).found
    assert max(found.values()) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 60)


@pytest.mark.slow
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("seeds", SEEDS, ids=str)
def test_the_promised_rates_of_error_are_kept(seeds: tuple[int, int], spread: str) -> None:
    """For NDCG, MRR and hit rate, but for lone seeds that vary: they speak of users alone, and the table says so."""
    found = rates(seeds, spread, comparisons=400).found
    if seeds == (1, 1) and spread == "large":
        assert min(found.values()) > 0.3
    else:
        assert max(found.values()) <= 0.083


@pytest.mark.slow
def test_more_seeds_find_more() -> None:
    found = [rates(seeds, "small", comparisons=200, gain=0.15).found["ndcg@10"] for seeds in ((3, 3), (5, 5), (10, 10))]
    assert found == sorted(found)
    assert found[-1] > 0.4


# p-values.


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
