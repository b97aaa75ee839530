"""What models would reach with other users and other seeds. U users, S seeds, M metrics, R resamples.

A model that was trained with S seeds has values of shape (S, U, M): every seed meets the same users, so the two are
crossed. To resample both as they stand would count the noise that belongs to a seed and a user together up to three
times (A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007; no bootstrap of crossed data is
exact: P. McCullagh, Bernoulli 6, 2000). `bootstrap` therefore resamples users for their part and draws for the variance
that seeds have beyond that noise, as hierarchical data are resampled by A. C. Davison and D. V. Hinkley, Bootstrap
Methods and their Application (1997), section 3.8.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.errors import ConfigurationError
from nextitem.evaluation.intervals import user_means

_ROUNDING = 1e-12  # of a mean over users, in parts of the mean size of what is summed


@dataclass(frozen=True)
class Draws:
    """What models would reach with other users and, where that is known, other seeds: R draws of M metrics."""

    means: tuple[Tensor, ...]
    """Of each model its mean, shape (R, M) float64, between 0 and 1."""
    differences: tuple[Tensor, ...]
    """Of each pair the first one's mean less the second's, shape (R, M) float64, between −1 and 1."""


def bootstrap(
    models: Sequence[Tensor],
    generator: torch.Generator,
    *,
    pairs: Sequence[tuple[int, int]] = (),
    is_fixed: Sequence[bool] | None = None,
    resamples: int = 10_000,
) -> Draws:
    """Draws of the means of `models`, (S, U, M) each with values from 0 to 1, and of the differences of some `pairs`.

    Users are resampled, the same ones for all models, and of a pair the differences of its values themselves: where no
    user differs, no draw does. To a model with two seeds or more a normal deviation is added on the scale of
    log(m / (1 − m)), so that no draw leaves 0 to 1. Its variance is 1/S of the part of the variance between seeds that
    the users' noise does not explain (by analysis of variance, 0 where negative), over χ²(S − 1) / (S − 1), since S
    seeds know their own variance poorly: few seeds have Student's tails.

    A model with one seed shows no spread, which is not to say that it has none: in a difference it borrows that of the
    other model. Then the spread is all that speaks for chance, so what was estimated at 0 is not taken for 0: of each
    draw of χ² the noise is subtracted after the division (S. Weerahandi, Generalized confidence intervals, Journal of
    the American Statistical Association 88, 1993). Where the other has one seed too, draws are of users alone, as is
    the mean of a model with one seed. A model that `is_fixed` learns the same with every seed: it has no spread and
    lends none. Raises ConfigurationError for no user or seed, unequal users, and values outside 0 to 1.
    """
    _check(models)
    values = [values_SUM.double() for values_SUM in models]
    fixed = [False] * len(values) if is_fixed is None else is_fixed
    seeds = [_Seeds.of(one, is_one) for one, is_one in zip(values, fixed, strict=True)]
    of_users = [values_SUM.mean(0) for values_SUM in values]
    paired = [paired_differences(values[first], values[second]) for first, second in pairs]
    columns = [*of_users, *paired]
    drawn = user_means(torch.cat(columns, dim=1), generator, resamples).split([one.shape[1] for one in columns], dim=1)
    means = [means_RM.clamp(0, 1) for means_RM in drawn[: len(values)]]
    luck = [_Luck.draw(one, resamples, generator) for one in seeds]
    own = [_shifts(*each) for each in zip(means, seeds, luck, strict=True)]
    differences = []
    for (first, second), differences_UM, summed_RM in zip(pairs, paired, drawn[len(values) :], strict=True):
        # What users gain and lose by equal amounts leaves 0, and not what its sum was rounded to: a tail counts signs.
        drawn_RM = summed_RM.where(summed_RM.abs() > _ROUNDING * differences_UM.abs().mean(0), 0.0)
        shifts_RM = [
            _borrowed(means[one], seeds[other], luck[one], luck[other])
            if seeds[one].borrows(seeds[other])
            else own[one]
            for one, other in ((first, second), (second, first))
        ]
        # Models of equal values are one model: its luck is the same.
        is_equal_M = _is_equal(values[first], values[second])
        differences.append((drawn_RM + (shifts_RM[0] - shifts_RM[1]).masked_fill(is_equal_M, 0.0)).clamp(-1, 1))
    moved = [(means_RM + shifts_RM).clamp(0, 1) for means_RM, shifts_RM in zip(means, own, strict=True)]
    return Draws(tuple(moved), tuple(differences))


def paired_differences(first_SUM: Tensor, second_SUM: Tensor) -> Tensor:
    """Each user's mean over the first model's seeds less that over the second's, shape (U, M).

    Exactly 0 where the means differ by no more than their rounding, as those of equal values in another order do.
    """
    differences_UM = first_SUM.mean(0) - second_SUM.mean(0)
    seeds = max(len(first_SUM), len(second_SUM))
    rounding = seeds * torch.finfo(differences_UM.dtype).eps if seeds > 1 else 0.0
    return differences_UM.where(differences_UM.abs() > rounding, 0.0)


def _check(models: Sequence[Tensor]) -> None:
    for values_SUM in models:
        seeds, users, _ = values_SUM.shape
        if not seeds or not users or users != models[0].shape[1]:
            raise ConfigurationError(
                f"models are compared on the same users, at least one, with at least one seed; got {seeds} seeds of "
                f"{users} users beside {models[0].shape[1]} users"
            )
        if not bool(((values_SUM >= 0) & (values_SUM <= 1)).all()):
            raise ConfigurationError(
                f"means are compared of metrics between 0 and 1; got values from {float(values_SUM.min()):.4g} to "
                f"{float(values_SUM.max()):.4g}"
            )


def _is_equal(first_SUM: Tensor, second_SUM: Tensor) -> Tensor:
    """Whether all values of a metric are equal, shape (M,)."""
    if first_SUM.shape != second_SUM.shape:
        return torch.zeros(first_SUM.shape[2], dtype=torch.bool)
    return (first_SUM == second_SUM).all(1).all(0)


@dataclass(frozen=True)
class _Seeds:
    """How a model's seeds vary."""

    count: int
    between_M: Tensor
    """Variance of the seeds' means."""
    noise_M: Tensor
    """What of it the users' noise explains."""
    slope_M: Tensor
    """Of log(m / (1 − m)) at the model's mean."""
    is_fixed: bool

    @classmethod
    def of(cls, values_SUM: Tensor, is_fixed: bool) -> "_Seeds":
        seeds, users, _ = values_SUM.shape
        means_SM = values_SUM.mean(1)
        mean_M = means_SM.mean(0)
        deviations_SM = means_SM - mean_M
        between_M = deviations_SM.square().sum(0) / max(1, seeds - 1)
        noise_SUM = values_SUM - values_SUM.mean(0) - deviations_SM[:, None]
        noise_M = noise_SUM.square().sum((0, 1)) / (max(1, seeds - 1) * max(1, users - 1)) / users
        spread_M = mean_M * (1 - mean_M)
        return cls(seeds, between_M, noise_M, (1 / spread_M).where(spread_M > 0, 0.0), is_fixed)

    def borrows(self, other: "_Seeds") -> bool:
        return self.count == 1 and not self.is_fixed and other.count > 1 and not other.is_fixed


@dataclass(frozen=True)
class _Luck:
    """Of each draw how lucky a model's new seeds are, and how poorly its S seeds know their variance; (R, 1) each."""

    normal_R1: Tensor
    chance_R1: Tensor
    """χ² / (S − 1)."""

    @classmethod
    def draw(cls, seeds: _Seeds, resamples: int, generator: torch.Generator) -> "_Luck":
        shape = (resamples, seeds.count)
        normal_RS = torch.randn(shape, generator=generator, dtype=torch.float64)
        chance_R1 = normal_RS[:, 1:].square().sum(1, keepdim=True) / max(1, seeds.count - 1)
        return cls(normal_RS[:, :1], chance_R1.clamp(min=1e-300))


def _shifts(means_RM: Tensor, seeds: _Seeds, luck: _Luck) -> Tensor:
    """What new seeds add to a model's drawn means, shape (R, M)."""
    if seeds.count == 1 or seeds.is_fixed:
        return torch.zeros_like(means_RM)
    variances_RM = (seeds.between_M - seeds.noise_M).clamp(min=0) / luck.chance_R1
    return _moved(means_RM, seeds, luck, variances_RM / seeds.count)


def _borrowed(means_RM: Tensor, lender: _Seeds, luck: _Luck, lenders: _Luck) -> Tensor:
    """The same of a model with one seed, by the spread of another's."""
    variances_RM = (lender.between_M / lenders.chance_R1 - lender.noise_M).clamp(min=0)
    return _moved(means_RM, lender, luck, variances_RM)


def _moved(means_RM: Tensor, seeds: _Seeds, luck: _Luck, variances_RM: Tensor) -> Tensor:
    # Finite, or a mean of 0 that is moved by infinity were none.
    shifts_RM = (luck.normal_R1 * variances_RM.sqrt() * seeds.slope_M).clamp(-700, 700)
    return (means_RM.logit() + shifts_RM).sigmoid().where(shifts_RM != 0, means_RM) - means_RM
