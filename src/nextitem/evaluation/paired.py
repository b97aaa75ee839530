"""How a model's means differ from another's on the same users. S seeds, U users, M metrics, R resamples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from nextitem.compute.randomness import Purpose, generator
from nextitem.evaluation.draws import Draws, bootstrap, paired_differences
from nextitem.evaluation.intervals import holm, p_values, percentiles

RESAMPLES = 10_000
Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A model's mean less another's, on the same users."""

    value: float
    interval: Interval
    p: float
    """Two-sided, of the bootstrap."""
    corrected_p: float
    """The same by Holm's method, with all differences that are told together as one family."""
    covers: str
    """What it speaks for: other `users and seeds`, or other `users` alone, where no seed's luck is known."""


def draws_of(
    values: Sequence[Tensor], pairs: Sequence[tuple[int, int]] = (), is_fixed: Sequence[bool] | None = None
) -> Draws:
    """Bootstrap draws of the means of several models and of differences; always the same for the same values."""
    if not values:
        return Draws((), ())
    draws = generator(0, Purpose.BOOTSTRAP)
    return bootstrap(values, draws, pairs=pairs, is_fixed=is_fixed, resamples=RESAMPLES)


def differences(first_SUM: Tensor, second_SUM: Tensor, drawn_RM: Tensor, covers: str) -> list[Difference]:
    """The first model's means less the second's, per metric, from their values and the draws; not yet corrected."""
    found = zip(
        paired_differences(first_SUM, second_SUM).mean(0).tolist(),
        percentiles(drawn_RM).tolist(),
        p_values(drawn_RM).tolist(),
        strict=True,
    )
    return [Difference(value, (low, high), p, p, covers) for value, (low, high), p in found]


def corrected_together(tested: Sequence[Difference]) -> list[Difference]:
    """Differences that are told together, with Holm's p-values for that many."""
    return [
        replace(one, corrected_p=corrected)
        for one, corrected in zip(tested, holm([one.p for one in tested]), strict=True)
    ]
