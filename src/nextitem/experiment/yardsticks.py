"""What counting alone reaches on a model's test cases, and whether the model is any better. U users, M metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.waiting import Say, silent, told_if_slow
from nextitem.errors import DataError
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.paired import Difference, corrected_together, differences, draws_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome
from nextitem.model.baselines import AnyBaseline
from nextitem.model.baselines.baseline import Baseline
from nextitem.settings.annotations import choices
from nextitem.words import interval

DECIDING, LEVEL = "ndcg@10", 0.05
RULE = (
    "A model is better than counting where its NDCG@10 is above that of every baseline with p ≤ 0.05: paired bootstrap "
    "over users, p by Holm over the baselines."
)


@dataclass(frozen=True)
class Yardstick:
    """A baseline that counts, measured on the test cases of a model."""

    name: str
    evaluation: Evaluation
    differences: Mapping[str, Difference]
    """Per metric the model's mean less the baseline's, on the same users; p by Holm over the yardsticks."""


@dataclass(frozen=True)
class Beside:
    """What stands beside a model."""

    yardsticks: tuple[Yardstick, ...] = ()
    verdict: str | None = None
    """Why the model is no better than counting, in a sentence; None where it is better, or is itself a yardstick."""


UNCOMPARED = Beside()
"""Of a model that nothing was measured beside."""


def beside(recipe: Recipe, outcome: Outcome, processes: Processes = ALONE, say: Say = silent) -> Beside:
    """The yardsticks of the shelf, counted on what the model learnt from and ranked as its test cases were.

    One that goes by times is left out where there are none, as is the model itself. `say` is told of one that finds
    nothing to count, and that all of it takes long where it does.
    """
    with told_if_slow("counting, and ranking what only counts", say):
        evaluations = dict(_evaluations(recipe, outcome, processes, say))
        if not evaluations:
            return UNCOMPARED
        found = compared(outcome.test, evaluations)
    is_itself_one = recipe.model.name in {one.name for one in _shelf()}
    return Beside(found, None if is_itself_one else _verdict(found, outcome.test))


def _shelf() -> list[Baseline]:
    """The yardsticks among the baselines, with their defaults."""
    entries = (cast(type[Baseline], entry) for entry in choices(AnyBaseline).values())
    return [entry() for entry in entries if entry.is_yardstick]  # type: ignore[call-arg]


def _evaluations(recipe: Recipe, outcome: Outcome, processes: Processes, say: Say) -> Iterator[tuple[str, Evaluation]]:
    split, metrics = outcome.prepared.split, outcome.test.certificate.metrics
    for baseline in _shelf():
        if baseline == recipe.model or (baseline.reads_times and not split.train.has_times):
            continue
        try:
            scorer = baseline.learn(split.train)
        except DataError as error:
            say(f"{baseline.name} is not shown beside the model: {error}")
            continue
        yield baseline.name, evaluate(scorer, split.test, metrics, ranking=recipe.ranking, processes=processes)


def compared(model: Evaluation, others: Mapping[str, Evaluation]) -> tuple[Yardstick, ...]:
    """Others beside a model, on the same cases: per metric the model's mean less theirs, paired by user."""
    values = [_values(one) for one in (model, *others.values())]
    pairs = [(0, place) for place in range(1, len(values))]
    draws = draws_of(values, pairs, [False] + [True] * len(others))
    # By metric, the differences to all yardsticks are one family.
    families = zip(
        *(
            differences(values[0], values[place], drawn_RM, "users")
            for (_, place), drawn_RM in zip(pairs, draws.differences, strict=True)
        ),
        strict=True,
    )
    corrected = zip(*(corrected_together(family) for family in families), strict=True)
    return tuple(
        Yardstick(name, evaluation, dict(zip(model.values, tested, strict=True)))
        for (name, evaluation), tested in zip(others.items(), corrected, strict=True)
    )


def _values(evaluation: Evaluation) -> Tensor:
    """Each metric of each user, as of one seed, shape (1, U, M)."""
    return torch.stack([*evaluation.of_users().values()], 1)[None]


def _verdict(found: Sequence[Yardstick], model: Evaluation) -> str | None:
    """What to say where the model is not above each yardstick; of several that it is not above, the best one."""
    unbeaten = [one for one in found if not _is_beaten(one.differences[DECIDING])]
    if not unbeaten:
        return None
    best = min(unbeaten, key=lambda one: one.differences[DECIDING].value)
    difference, mean = best.differences[DECIDING], best.evaluation.means[DECIDING]
    is_worse = difference.value < 0 and difference.corrected_p <= LEVEL
    return (
        f"{'Worse' if is_worse else 'Not better'} than counting: the model's NDCG@10 of {model.means[DECIDING]:.4f} is "
        f"{difference.value:+.4f} ({interval(difference.interval, '+.4f')}, p {difference.corrected_p:.2g}) beside the "
        f"{mean:.4f} of {best.name.replace('_', '-')}."
    )


def _is_beaten(difference: Difference) -> bool:
    return difference.value > 0 and difference.corrected_p <= LEVEL
