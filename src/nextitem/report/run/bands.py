"""Test cases in bands: where their targets ranked, and how good a model is for which of them. C cases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nextitem.evaluation.values import Ranks

TOP = 10
_FEWEST = 20  # cases of a band; fewer join the band beside them
_MOST_BANDS = 8


@dataclass(frozen=True)
class Band:
    """Ranks, lengths or counts from `first` to `last`."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first:,}" if self.first == self.last else f"{self.first:,}–{self.last:,}"


@dataclass(frozen=True)
class Quality:
    """How good a model is for the cases of a band."""

    band: Band
    cases: int
    hit_rate: float
    ndcg: float
    """NDCG@10, the mean over users of the mean over their cases of the band, as the hit rate is."""
    interval: tuple[float, float]
    """The 95 % interval of it."""


def rank_bands(catalogue: int) -> list[Band]:
    """1, 2–3, 4–10, 11–30, 31–100, … up to the number of items that were ranked.

    >>> [str(band) for band in rank_bands(50)]
    ['1', '2–3', '4–10', '11–30', '31–50']
    """
    ends = [1, 3]
    while ends[-1] < catalogue:
        ends.append(10 * ends[-2])
    ends = [end for end in ends if 1.5 * end < catalogue] + [catalogue]  # no last band of a few ranks
    return [Band(first, last) for first, last in zip([1, *(end + 1 for end in ends)], ends, strict=False)]


def rank_shares(ranks: Ranks, bands: Sequence[Band]) -> list[float]:
    """The share of cases whose target ranks in each band, in expectation over the order of tied items.

    Of users with several cases, the mean of the user's. Up to rank k they add up to the hit rate at k. A target that is
    hidden itself is in no band.
    """
    hit_rates = ranks.of_users([f"hit_rate@{band.last}" for band in bands], bands[-1].last)
    return [high - low for low, high in pairwise([0.0, *(float(value_U.mean()) for value_U in hit_rates.values())])]


def quality(ranks: Ranks, catalogue: int, numbers_C: Tensor) -> list[Quality]:
    """Quality by bands of a number that each case has, such as the length of its history."""
    found = []
    for band in _bands(numbers_C):
        is_in_C = (numbers_C >= band.first) & (numbers_C <= band.last)
        hits_U, gains_U = ranks.select(is_in_C).of_users([f"hit_rate@{TOP}", f"ndcg@{TOP}"], catalogue).values()
        cases = int(is_in_C.sum())
        found.append(Quality(band, cases, float(hits_U.mean()), float(gains_U.mean()), _interval(gains_U)))
    return found


def _interval(gains: Tensor) -> tuple[float, float]:
    """95 % of a mean m of values from 0 to 1: ± 1.96 standard errors of log(m / (1 − m)), which stay in between."""
    mean = gains.mean()
    spread = float(gains.std()) if len(gains) > 1 else 0.0
    if spread == 0:
        return float(mean), float(mean)
    margin = 1.96 * spread / math.sqrt(len(gains)) / (mean * (1 - mean))
    low, high = (mean.logit() + torch.stack([-margin, margin])).sigmoid().tolist()
    return low, high


def _bands(numbers_C: Tensor) -> list[Band]:
    """0 alone, then 1, 2–3, 4–7, … (or wider by a factor of 4, 8, …); bands of few cases join a neighbour."""
    smallest, largest = int(numbers_C.min()), int(numbers_C.max())
    factor = 2
    while _power(largest, factor) - _power(smallest, factor) >= _MOST_BANDS:
        factor *= 2
    starts = [0, 1]
    while starts[-1] <= largest:
        starts.append(starts[-1] * factor)
    counts = torch.histogram(numbers_C.double(), torch.tensor(starts, dtype=torch.float64) - 0.5).hist.long().tolist()
    kept: list[tuple[int, int]] = []  # (first, cases)
    for start, cases in zip(starts, counts, strict=False):
        if kept and kept[-1][1] < _FEWEST:
            kept[-1] = (kept[-1][0], kept[-1][1] + cases)
        elif cases:
            kept.append((start, cases))
    if len(kept) > 1 and kept[-1][1] < _FEWEST:
        kept.pop()
    firsts = [first for first, _ in kept]
    lasts = [*(first - 1 for first in firsts[1:]), largest]
    return [Band(max(first, smallest), last) for first, last in zip(firsts, lasts, strict=True)]


def _power(number: int, factor: int) -> int:
    return int(math.log(max(number, 1), factor))
