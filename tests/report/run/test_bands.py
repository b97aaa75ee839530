"""Bands of ranks and of cases: what adds up, what joins, what the interval is."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nextitem.evaluation.metrics import hit_rate
from nextitem.evaluation.values import Ranks
from nextitem.report.run.bands import Band, quality, rank_bands, rank_shares


def ranks(above_C: Tensor, tied_C: Tensor | None = None, users: list[int] | None = None) -> Ranks:
    """Those of cases of one user each, or of the users who are named."""
    tied_C = torch.zeros_like(above_C) if tied_C is None else tied_C
    places_C = torch.arange(len(above_C))
    return Ranks(above_C, tied_C, places_C if users is None else torch.tensor(users), places_C)


@pytest.mark.parametrize("catalogue", [1, 2, 3, 11, 14, 16, 101, 3_416, 54_542])
def test_bands_of_ranks_cover_the_catalogue_without_gaps(catalogue: int) -> None:
    bands = rank_bands(catalogue)
    assert bands[0].first == 1
    assert bands[-1].last == catalogue
    assert all(low.last + 1 == high.first for low, high in pairwise(bands))
    assert all(band.first <= band.last for band in bands)


def test_shares_up_to_rank_ten_are_the_hit_rate_at_ten() -> None:
    above, tied = torch.tensor([0.0, 2.0, 8.0, 400.0, torch.inf]), torch.tensor([0.0, 0.0, 3.0, 10.0, 0.0])
    bands = rank_bands(1000)
    shares = rank_shares(ranks(above, tied), bands)
    assert [str(band) for band in bands[:3]] == ["1", "2–3", "4–10"]
    assert sum(shares[:3]) == pytest.approx(float(hit_rate(above, tied, 10).mean()))
    assert shares[:2] == pytest.approx([1 / 5, 1 / 5])
    assert shares[2] == pytest.approx(2 / 4 / 5)  # ranks 9 to 12 are as likely, two of them among the first ten
    assert sum(shares) == pytest.approx(4 / 5)  # the hidden target is in no band


def test_quality_of_a_band_is_a_mean_with_196_standard_errors_of_its_log_odds() -> None:
    above = torch.tensor([0.0, 2.0] * 20 + [99.0] * 30, dtype=torch.float64)
    numbers = torch.tensor([1] * 40 + [5] * 30)
    first, second = quality(ranks(above), 100, numbers)
    values = [1.0, 1 / math.log2(4)]
    spread = math.sqrt(sum((value - 0.75) ** 2 for value in values) / 2 * 40 / 39)
    assert (first.band, first.cases, first.hit_rate) == (Band(1, 3), 40, 1.0)
    assert first.ndcg == pytest.approx(0.75)
    margin = 1.96 * spread / math.sqrt(40) / (0.75 * 0.25)
    expected = [1 / (1 + math.exp(-(math.log(3) + sign * margin))) for sign in (-1, 1)]
    assert first.interval == pytest.approx(expected)
    assert (str(second.band), second.cases, second.ndcg, second.interval) == ("4–5", 30, 0.0, (0.0, 0.0))


@pytest.mark.parametrize(("hits", "misses"), [(1, 39), (39, 1), (1, 1)])
def test_an_interval_lies_within_what_a_mean_can_be(hits: int, misses: int) -> None:
    above = torch.tensor([0.0] * hits + [99.0] * misses, dtype=torch.float64)
    (found,) = quality(ranks(above), 100, torch.ones(len(above), dtype=torch.int64))
    assert 0 < found.interval[0] < found.ndcg < found.interval[1] < 1


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=200))
def test_every_case_is_in_one_band_and_small_bands_join(numbers: list[int]) -> None:
    above = torch.zeros(len(numbers), dtype=torch.float64)
    found = quality(ranks(above), 100, torch.tensor(numbers))
    assert sum(band.cases for band in found) == len(numbers)
    assert all(low.band.last + 1 == high.band.first for low, high in pairwise(found))
    assert (found[0].band.first, found[-1].band.last) == (min(numbers), max(numbers))
    assert len(found) == 1 or all(band.cases >= 20 for band in found)
    assert len(found) <= 10


def test_who_has_many_cases_counts_once_in_every_band() -> None:
    found = ranks(torch.tensor([0.0, 99.0, 99.0, 0.0]), users=[4, 4, 4, 7])
    assert rank_shares(found, [Band(1, 10), Band(11, 100)]) == pytest.approx([(1 / 3 + 1) / 2, (2 / 3 + 0) / 2])
    (band,) = quality(found, 100, torch.ones(4, dtype=torch.int64))
    assert (band.cases, band.ndcg) == (4, pytest.approx((1 / 3 + 1) / 2))
    two = ranks(torch.tensor([0.0, 99.0] * 20), users=sorted([*range(20)] * 2))
    (band,) = quality(two, 100, torch.ones(40, dtype=torch.int64))
    assert (band.ndcg, band.interval) == (0.5, (0.5, 0.5))  # every user has the same mean
