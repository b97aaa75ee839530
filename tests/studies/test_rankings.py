"""Whether two kinds of ranking put models in the same order, and how sure that is."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, tensor

from nextitem.errors import ConfigurationError
from nextitem.studies.rankings import compare_rankings, disagreement
from worlds.stored_runs import written


def values(*rows: list[float]) -> Tensor:
    """Values of four cases for each model, a row each, as (C, M)."""
    return tensor(rows, dtype=torch.float64).T


FULL = values([0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5], [0.2, 0.3, 0.4, 0.5])
NAMES = ["worst", "best", "middle"]


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_same_values_are_in_the_same_order() -> None:
    found = disagreement(FULL, 2 * FULL, NAMES, draws())
    assert (found.tau, found.tau_interval) == (1, (1, 1))
    assert list(found.full) == list(found.sampled) == ["best", "middle", "worst"]
    assert found.full["worst"] == pytest.approx(0.25)
    assert not any(pair.is_flipped for pair in found.pairs)


def test_kendalls_tau_is_the_share_of_pairs_in_order_less_the_share_out_of_order() -> None:
    sampled = values([0.6] * 4, [0.7] * 4, [0.5] * 4)  # of three pairs middle and worst are swapped
    found = disagreement(FULL, sampled, NAMES, draws())
    assert found.tau == pytest.approx((2 - 1) / 3)
    (pair,) = [pair for pair in found.pairs if pair.is_flipped]
    assert (pair.better, pair.other) == ("middle", "worst")
    assert (pair.full, pair.sampled) == pytest.approx((0.1, -0.1))
    assert pair.full_interval == pytest.approx((0.1, 0.1))
    assert pair.is_sure
    assert disagreement(FULL, -FULL, NAMES, draws()).tau == -1


def test_models_that_tie_are_in_neither_order() -> None:
    found = disagreement(FULL, values([0.5] * 4, [0.7] * 4, [0.5] * 4), NAMES, draws())
    assert found.tau == pytest.approx(2 / 3)
    assert not any(pair.is_flipped for pair in found.pairs)


def test_a_flip_that_rests_on_few_users_is_not_sure() -> None:
    sampled = values([0.0, 0.0, 0.0, 1.0], [0.9] * 4, [0.1, 0.1, 0.1, 0.1])
    found = disagreement(FULL, sampled, NAMES, draws())
    (pair,) = [pair for pair in found.pairs if pair.is_flipped]
    assert pair.sampled == pytest.approx(0.1 - 0.25)
    assert pair.sampled_interval[1] > 0  # the fourth user is in none of many resamples
    assert not pair.is_sure
    assert found.tau_interval == pytest.approx((1 / 3, 1))


def test_users_are_resampled_for_both_rankings_at_once() -> None:
    """Where sampled values are the full ones, the order of two close models changes in both or in neither."""
    close = values([1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.125, 0.75])  # sums of these are exact, so that ties are ties
    found = disagreement(close, close, ["a", "b"], draws())
    low, high = found.tau_interval
    assert (found.pairs[0].full_interval, high) == (found.pairs[0].sampled_interval, 1)
    assert low >= 0  # 0 where a resample ties, never −1


def test_models_of_equal_values_tie_in_every_resample() -> None:
    """As means that are subtracted they would differ by rounding, in one of two directions by chance."""
    many = torch.rand(300, 1, generator=draws(), dtype=torch.float64).expand(-1, 3)
    found = disagreement(many, many, NAMES, draws())
    assert (found.tau, found.tau_interval) == (0, (0, 0))
    assert {pair.full_interval for pair in found.pairs} == {(0, 0)}


@pytest.mark.parametrize(("full", "names"), [(FULL[:, :1], ["a"]), (FULL, ["a", "a", "b"]), (FULL[:0], NAMES)])
def test_what_has_no_order_is_an_error(full: Tensor, names: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="an order needs at least one user and two models with names"):
        disagreement(full, full, names, draws())


def test_runs_on_other_cases_are_refused(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, "popularity") for name in ("a", "b"))
    other = second / "metrics.json"
    text = other.read_text()
    sha = text.partition('"split": "')[2][:64]
    other.write_text(text.replace(sha, "0" * 64))
    manifest = second / "manifest.json"
    manifest.write_text(manifest.read_text().replace(digest(text), digest(other.read_text())))
    with pytest.raises(ConfigurationError, match="runs that were measured on different cases have no order"):
        compare_rankings([first, second], ["uniform:2"])


def digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
