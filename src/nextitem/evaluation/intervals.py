"""How sure a mean is: intervals, p-values, and their correction. U users, M metrics, R resamples."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nextitem.errors import ConfigurationError

_BLOCK = 1 << 18  # counts of users that exist at a time, near a cache


def bootstrap_interval(
    values_UM: Tensor, generator: torch.Generator, *, resamples: int = 1000, confidence: float = 0.95
) -> Tensor:
    """Percentile bootstrap interval of each column's mean over users, shape (M, 2) float64.

    All columns share their resamples, so intervals of several metrics belong together. Efron & Tibshirani (1993),
    chapter 13. Raises ConfigurationError without cases.
    """
    if len(values_UM) == 0:
        raise ConfigurationError("an interval needs at least one case, got 0")
    return percentiles(user_means(values_UM.double(), generator, resamples), confidence)


def user_means(values_UM: Tensor, generator: torch.Generator, resamples: int) -> Tensor:
    """Means of `values_UM` over resamples of its rows, shape (R, M)."""
    users = len(values_UM)
    return torch.cat([counts.double() @ values_UM / users for counts in resampled(users, generator, resamples)])


def resampled(users: int, generator: torch.Generator, resamples: int) -> Iterator[Tensor]:
    """How often each user is in a resample of as many, some resamples at a time, shape (B, U) int64."""
    for block in torch.arange(resamples).split(max(1, _BLOCK // users)):
        rows = torch.arange(len(block))[:, None] * users
        picked = torch.randint(users, (len(block), users), generator=generator) + rows
        yield torch.bincount(picked.flatten(), minlength=len(block) * users).view(len(block), users)


def percentiles(draws_RM: Tensor, confidence: float = 0.95) -> Tensor:
    """The interval that holds the middle share `confidence` of each column's draws, shape (M, 2) float64."""
    tail = (1 - confidence) / 2
    return torch.quantile(draws_RM, torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0).T


def p_values(differences_RM: Tensor) -> Tensor:
    """Two-sided p-value of each column's "the difference is 0", from its bootstrap draws, shape (M,) float64.

    Twice the smaller share of draws that reach 0 or pass it, where the observed value counts as one more draw: so it is
    never 0 (Davison & Hinkley 1997, section 4.4).

    >>> p_values(torch.tensor([[1.0], [2.0], [3.0]]))  # 2 · (0 + 1) / (3 + 1)
    tensor([0.5000], dtype=torch.float64)
    """
    draws = len(differences_RM)
    tails = torch.stack([(differences_RM <= 0).sum(0), (differences_RM >= 0).sum(0)]).double()
    return (2 * (tails.min(0).values + 1) / (draws + 1)).clamp(max=1)


def holm(p: Sequence[float]) -> list[float]:
    """p-values of one family, corrected for their number: rejecting those ≤ α errs at all with probability ≤ α.

    S. Holm, Scandinavian Journal of Statistics 6 (1979): the i-th smallest of n is multiplied by n − i + 1, and none is
    smaller than the one before it.

    >>> [round(value, 3) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected, floor = list(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        floor = max(floor, min(1.0, p[index] * (len(p) - place)))
        corrected[index] = floor
    return corrected
