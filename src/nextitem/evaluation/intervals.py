"""How sure a mean is, and a difference of means. C cases, U users, S seeds, M metrics, R resamples.

A model that was trained with S seeds has values of shape (S, U, M): every seed meets the same users, so the two are
crossed. To resample both as they stand would count the noise that belongs to a seed and a user together up to three
times (A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007; no bootstrap of crossed data is
exact: P. McCullagh, Bernoulli 6, 2000). `bootstrap_means` therefore resamples users for their part and seeds for the
variance that seeds have beyond that noise, as hierarchical data are resampled by A. C. Davison and D. V. Hinkley,
Bootstrap Methods and their Application (1997), section 3.8.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nextitem.errors import ConfigurationError

_BLOCK = 1 << 18  # counts of users that exist at a time, near a cache


def bootstrap_interval(
    values_CM: Tensor, generator: torch.Generator, *, resamples: int = 1000, confidence: float = 0.95
) -> Tensor:
    """Percentile bootstrap interval of each column's mean over cases, shape (M, 2) float64.

    All columns share their resamples, so intervals of several metrics belong together. Efron & Tibshirani (1993),
    chapter 13. Raises ConfigurationError without cases.
    """
    if len(values_CM) == 0:
        raise ConfigurationError("an interval needs at least one case, got 0")
    return percentiles(_user_means(values_CM.double(), generator, resamples), confidence)


def bootstrap_means(models: Sequence[Tensor], generator: torch.Generator, *, resamples: int = 10_000) -> list[Tensor]:
    """Draws of each model's mean over users and seeds, shape (R, M) float64 per model; `models` are (S, U, M) each.

    A draw is the mean over seeds of a resample of U users, which all models share: so differences of draws are paired
    by user. To it is added, for each model with two seeds or more, the mean deviation of a resample of its S seeds,
    drawn independently of the other models'. The deviations are scaled so that their variance is the part of the
    variance between seeds that the users' noise does not explain (estimated by analysis of variance, 0 where negative),
    and by √((S − 1) / χ²(S − 1)), since S seeds know their own variance poorly: few seeds have Student's tails.
    With one seed the draws tell of users only. Raises ConfigurationError for no user or seed, or for unequal users.
    """
    for values_SUM in models:
        seeds, users, _ = values_SUM.shape
        if not seeds or not users or users != models[0].shape[1]:
            raise ConfigurationError(
                f"models are compared on the same users, at least one, with at least one seed; got {seeds} seeds of "
                f"{users} users beside {models[0].shape[1]} users"
            )
    values = [values_SUM.double() for values_SUM in models]
    means_RK = _user_means(torch.cat([values_SUM.mean(0) for values_SUM in values], dim=1), generator, resamples)
    parts = means_RK.split([values_SUM.shape[2] for values_SUM in values], dim=1)
    return [
        part + _seed_deviations(values_SUM, generator, resamples)
        for part, values_SUM in zip(parts, values, strict=True)
    ]


def _user_means(values_UM: Tensor, generator: torch.Generator, resamples: int) -> Tensor:
    """Means of `values_UM` over resamples of its rows, shape (R, M)."""
    users = len(values_UM)
    means = []
    for block in torch.arange(resamples).split(max(1, _BLOCK // users)):
        rows = torch.arange(len(block))[:, None] * users
        picked = torch.randint(users, (len(block), users), generator=generator) + rows
        counts = torch.bincount(picked.flatten(), minlength=len(block) * users).view(len(block), users)
        means.append(counts.double() @ values_UM / users)
    return torch.cat(means)


def _seed_deviations(values_SUM: Tensor, generator: torch.Generator, resamples: int) -> Tensor:
    """What resampled seeds add to a mean, shape (R, M); nothing for one seed."""
    seeds, users, metrics = values_SUM.shape
    if seeds == 1:
        return values_SUM.new_zeros(resamples, metrics)
    means_SM = values_SUM.mean(1)
    deviations_SM = means_SM - means_SM.mean(0)
    between_M = deviations_SM.square().sum(0) / (seeds - 1)
    noise_SUM = values_SUM - values_SUM.mean(0) - deviations_SM[:, None]
    noise_M = noise_SUM.square().sum((0, 1)) / ((seeds - 1) * max(1, users - 1))
    # Seeds that differ in nothing have no variance to scale.
    beyond_M = (1 - noise_M / users / between_M).clamp(min=0).where(between_M > 0, 0.0)
    picked_RS = torch.randint(seeds, (resamples, seeds), generator=generator)
    normal = torch.randn(resamples, seeds - 1, generator=generator, dtype=torch.float64)
    student_R = ((seeds - 1) / normal.square().sum(1)).sqrt()
    scale_M = (beyond_M * seeds / (seeds - 1)).sqrt()
    return deviations_SM[picked_RS].mean(1) * scale_M * student_R[:, None]


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
