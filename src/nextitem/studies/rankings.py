"""Do sampled and full ranking put models in the same order? U users, M models, P pairs of models.

Krichene & Rendle (KDD 2020) show why they need not: among few drawn items every rank is close to the top, so a sampled
metric rewards what a full one at the same k does not see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from nextitem.compute.randomness import Purpose, generator
from nextitem.errors import ConfigurationError
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.experiment.again import restore, split_of
from nextitem.experiment.folder.reading import MODEL, read_run
from nextitem.experiment.repetition import told_apart


@dataclass(frozen=True)
class Pair:
    """Two models, the first of them better by full ranking; differences are the first one's value less the other's."""

    better: str
    other: str
    full: float
    full_interval: tuple[float, float]
    sampled: float
    sampled_interval: tuple[float, float]

    @property
    def is_flipped(self) -> bool:
        """Whether sampled ranking puts the other one first."""
        return self.sampled < 0 < self.full

    @property
    def is_sure(self) -> bool:
        """Whether it is flipped, and neither 95 % interval over users holds 0."""
        return self.is_flipped and self.full_interval[0] > 0 and self.sampled_interval[1] < 0


@dataclass(frozen=True)
class Disagreement:
    """One metric of M models by full ranking and among drawn candidates."""

    full: dict[str, float]
    """Mean over users by model, best first."""
    sampled: dict[str, float]
    """Likewise among the candidates, in the same order of models."""
    tau: float
    """Kendall's τ of the two orders: the share of pairs in the same order less the share in the other."""
    tau_interval: tuple[float, float]
    """95 % bootstrap interval over users."""
    pairs: tuple[Pair, ...]
    """All pairs of models."""


def disagreement(
    full_UM: Tensor, sampled_UM: Tensor, models: Sequence[str], generator: torch.Generator, *, resamples: int = 1000
) -> Disagreement:
    """How the values of M models compare, each resample of users taken for both kinds of ranking at once.

    Raises ConfigurationError for fewer than two models, two of one name, or no user.
    """
    if len(models) < 2 or len({*models}) < len(models) or not len(full_UM):
        raise ConfigurationError(
            f"an order needs at least one user and two models with names of their own, got {len(full_UM):,} users of "
            f"{', '.join(models) or 'nothing'}"
        )
    order = full_UM.double().mean(0).argsort(descending=True, stable=True)
    values_UX = torch.cat([full_UM[:, order], sampled_UM[:, order]], 1).double()
    users, names = len(values_UX), [models[number] for number in order.tolist()]
    counts = (
        torch.bincount(torch.randint(users, (users,), generator=generator), minlength=users) for _ in range(resamples)
    )
    better, other = torch.tensor([*combinations(range(len(names)), 2)]).T
    # Differences are resampled and not means: where no user differs, none of their signs rests on rounding.
    values_U2M = values_UX.unflatten(1, (2, -1))
    pairs_UX = (values_U2M[:, :, better] - values_U2M[:, :, other]).flatten(1)
    drawn_SX = torch.stack([pairs_UX.mean(0), *(count.double() @ pairs_UX / users for count in counts)])
    full_SP, sampled_SP = drawn_SX.split(len(better), 1)
    tau_S = (full_SP * sampled_SP).sign().mean(1)
    pairs = tuple(
        Pair(
            names[better[pair]], names[other[pair]],
            float(full_SP[0, pair]), _interval(full_SP[1:, pair]),
            float(sampled_SP[0, pair]), _interval(sampled_SP[1:, pair]),
        )
        for pair in range(len(better))
    )  # fmt: skip
    full, sampled = (dict(zip(names, part.tolist(), strict=True)) for part in values_UX.mean(0).split(len(names)))
    return Disagreement(full, sampled, float(tau_S[0]), _interval(tau_S[1:]), pairs)


def _interval(values_S: Tensor) -> tuple[float, float]:
    low, high = torch.quantile(values_S, values_S.new_tensor([0.025, 0.975])).tolist()
    return low, high


def compare_rankings(
    folders: Sequence[Path], candidates: Sequence[str], metric: str = "ndcg@10", data: str | None = None, seed: int = 0
) -> dict[str, Disagreement]:
    """The test metric of finished runs by full ranking and, for each of `candidates`, among negatives drawn by `seed`.

    A model is called by its recipe, and by settings and seed where that does not tell runs apart. Raises
    ConfigurationError for runs that were not measured on the same cases, and what reading and evaluating runs raises.
    """
    runs = [read_run(folder).proven(*MODEL) for folder in folders]
    names = told_apart([run.recipe.name for run in runs], runs)
    for run in runs[1:]:
        if unlike := runs[0].certificate.differences(run.certificate):
            raise ConfigurationError(
                f"runs that were measured on different cases have no order: {runs[0].folder} and {run.folder} differ "
                f"in {unlike}; give runs on one dataset"
            )
    split = split_of(runs[0], data)
    hidden = runs[0].certificate.hidden
    kinds = [Ranking(hidden), *(Ranking.among(text, seed, hidden=hidden) for text in candidates)]
    values: list[list[Tensor]] = [[] for _ in kinds]
    for run in runs:
        scorer = restore(run.recipe, run, split.train.number_of_items)
        for found, kind in zip(values, kinds, strict=True):
            measured = evaluate(scorer, split.test, [metric], ranking=kind, intervals=False)
            found.extend(measured.of_users().values())
    full_UM, *others = (torch.stack(found, 1) for found in values)
    return {
        text: disagreement(full_UM, sampled_UM, names, generator(0, Purpose.BOOTSTRAP))
        for text, sampled_UM in zip(candidates, others, strict=True)
    }
