"""Metrics by what is known of a target: warm, cold and repeated ones apart. C cases, U users, M metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.split import Cases
from nextitem.evaluation.hiding import hidden_targets
from nextitem.evaluation.intervals import bootstrap_interval
from nextitem.evaluation.values import Ranks

Kinds = Literal["warm", "cold", "repeated"]


@dataclass(frozen=True)
class Kind:
    """What was measured on some of the cases, as if nothing else had been asked for."""

    cases: int
    share: float
    """Of all cases."""
    means: Mapping[str, float]
    """Per metric of ranks the mean over users of the mean over their cases of this kind; none where there are none."""
    intervals: Mapping[str, tuple[float, float]]
    """Their 95 % bootstrap intervals, by resampled users."""

    def labelled(self, label: str) -> "Kind":
        """The same, its metrics by their names and the label of a ranking."""
        means = {name + label: value for name, value in self.means.items()}
        return replace(self, means=means, intervals={name + label: one for name, one in self.intervals.items()})

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        intervals = {name: list(interval) for name, interval in self.intervals.items()}
        return {"cases": self.cases, "share": self.share, **self.means, "intervals": intervals}


def kinds_of_target(cases: Cases) -> dict[Kinds, Tensor]:
    """Which cases ask for what, shape (C,) each; every case is one of them.

    `repeated`: the history has the target. Of all others, `warm`: training has it; `cold`: training has it not, so that
    no model that knows items by id alone can tell anything of it.
    """
    is_repeated_C = hidden_targets(cases.histories, cases.targets_C)
    is_trained_C = cases.is_trained_N[cases.targets_C]
    return {"warm": is_trained_C & ~is_repeated_C, "cold": ~is_trained_C & ~is_repeated_C, "repeated": is_repeated_C}


def by_target(ranks: Ranks, cases: Cases, metrics: Sequence[str], candidates: int, seed: int) -> dict[Kinds, Kind]:
    """`warm`, `cold` and `repeated` targets apart, `metrics` being of ranks among so many candidates."""
    return {kind: _part(ranks, is_in_C, metrics, candidates, seed) for kind, is_in_C in kinds_of_target(cases).items()}


def _part(ranks: Ranks, is_in_C: Tensor, metrics: Sequence[str], candidates: int, seed: int) -> Kind:
    count = int(is_in_C.sum())
    if not count or not metrics:
        return Kind(count, count / len(is_in_C), {}, {})
    found = ranks.select(is_in_C).of_users(metrics, candidates)
    bounds = bootstrap_interval(torch.stack([*found.values()], 1), generator(seed, Purpose.BOOTSTRAP)).tolist()
    means = {name: float(value_U.mean()) for name, value_U in found.items()}
    intervals = {name: (low, high) for name, (low, high) in zip(found, bounds, strict=True)}
    return Kind(count, count / len(is_in_C), means, intervals)
