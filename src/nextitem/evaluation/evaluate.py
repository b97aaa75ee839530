"""The only path to a reported number. C cases, Q questions, U users, M metrics, N items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.questions import firsts, of_users
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation.aggregates import aggregates
from nextitem.evaluation.by_target import Kind, Kinds, by_target
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.hiding import hidden_targets
from nextitem.evaluation.intervals import bootstrap_interval
from nextitem.evaluation.measuring import Measured, measured
from nextitem.evaluation.metrics import DEFAULT_METRICS, Asked, parse_metrics
from nextitem.evaluation.metrics.metric import Lists
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.evaluation.scoring import Scorer
from nextitem.evaluation.values import Ranks, list_values, values
from nextitem.settings.given import must_be, seed_number, texts, yes_or_no


@dataclass(frozen=True)
class Evaluation:
    """Metrics over C cases, with everything needed to doubt them."""

    values: Mapping[str, Tensor]
    """Per metric the value of every case, shape (C,) float64."""
    intervals: Mapping[str, tuple[float, float]]
    """Per metric the 95 % bootstrap interval of the mean over users; none where they were not asked for."""
    above_C: Tensor
    """How many items scored higher than each target, float64; inf where it is hidden itself or scores −inf."""
    tied_C: Tensor
    """How many others scored the same, float64."""
    users_C: Tensor
    """Whose case it is: an index into the catalogue of users."""
    ceiling: float
    """Share of targets that occur in training and are not hidden, a mean as others: no model of ids alone hits more."""
    certificate: Certificate
    of_all_lists: Mapping[str, float] = field(default_factory=dict)
    """Per metric of all lists together, such as `coverage@10`, its value."""
    by_target: Mapping[Kinds, Kind] = field(default_factory=dict)
    """The metrics of ranks for `warm`, `cold` and `repeated` targets apart; none where no intervals were asked for."""
    means: Mapping[str, float] = field(init=False)
    """Per metric the mean over users of the mean over their cases, or the value of all lists."""

    def __post_init__(self) -> None:
        means = {name: float(value_U.mean()) for name, value_U in self.of_users().items()} | {**self.of_all_lists}
        object.__setattr__(self, "means", {name: means[name] for name in self.certificate.metrics})

    def of_users(self) -> dict[str, Tensor]:
        """Per metric of every user the mean over their cases, shape (U,), in the order of their first cases."""
        return {name: of_users(value_C, self.users_C) for name, value_C in self.values.items()}

    def as_dict(self) -> dict[str, object]:
        """Means, intervals, ceiling, kinds of target where they were told apart, and certificate as plain values."""
        parts = {kind: part.as_dict() for kind, part in self.by_target.items()}
        return {
            **self.means,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "ceiling": self.ceiling,
            **({"by_target": parts} if parts else {}),
            "certificate": self.certificate.as_dict(),
        }


def evaluate(
    scorer: Scorer,
    cases: Cases,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    ranking: Ranking = FULL,
    intervals: bool = True,
    interval_seed: int = 0,
    processes: Processes = ALONE,
) -> Evaluation:
    """Rank every case's target against the `ranking` and report `metrics` such as `ndcg@10`.

    A user may have several cases: means are over users, of the mean over their cases, and intervals resample users.
    Targets of one question, which are several cases of one user and history, have one value of `ndcg@k`, `recall@k`,
    `precision@k` and `map@k`; among drawn candidates each is a question of its own.

    Among drawn candidates every metric is labelled, as `ndcg@10[pop100]`, and the certificate says how they were drawn:
    such a number compares with no full one. A k beyond what is ranked counts as its number. Without `intervals` there
    are none, and nothing by kind of target. Each of several processes ranks its share of the cases, and all return the
    evaluation of all of them. Metrics of lists, such as `novelty@10`, are of the k best items of the whole catalogue,
    in the order in which they would be shown; several of them share one pass.

    Raises ConfigurationError for no or an unknown metric, and for one of lists among candidates; ScoreError for NaN
    scores.
    """
    must_be(scorer, Scorer, "scorer", "a trained model (run(…).model) is one, and whatever has the method query")
    must_be(cases, Cases, "cases", "prepare(recipe).split.test are some")
    must_be(ranking, Ranking, "ranking", "Ranking.among('popularity:100') is one; leave it out to rank all items")
    must_be(processes, Processes, "processes", "leave them out for one process on the CPU")
    metrics, interval_seed = texts(metrics, "metrics"), seed_number(interval_seed, "interval_seed")
    yes_or_no(intervals, "intervals")
    asked = _asked(metrics, ranking)
    found = measured(scorer, cases, ranking, asked.longest, processes)
    ranks, ranked = _ranks(found, cases, ranking), ranking.size(len(cases.counts_N))
    asked_Q = cases.histories.select(firsts(cases.questions_C))
    lists = Lists(found.items_Qk, cases.counts_N, asked_Q, cases.train, cases.categories)
    of_cases = {name: value_Q[cases.questions_C] for name, value_Q in list_values(lists, asked.of_lists).items()}
    if asked.of_ranks:
        of_cases |= values(ranks.above_C, ranks.tied_C, asked.of_ranks, ranked, ranks.questions_C)
    seed = interval_seed if intervals else None
    of_all_lists, bounds = aggregates(lists, asked_Q.users_U, asked.of_all_lists, seed)
    if intervals:
        bounds |= _intervals(of_cases, ranks.users_C, interval_seed)
    parts = by_target(ranks, cases, asked.of_ranks, ranked, interval_seed) if intervals else {}
    labels = {name: name + ranking.label for name in metrics}
    return Evaluation(
        values={label: of_cases[name] for name, label in labels.items() if name in of_cases},
        intervals={label: bounds[name] for name, label in labels.items() if name in bounds},
        above_C=ranks.above_C,
        tied_C=ranks.tied_C,
        users_C=ranks.users_C,
        ceiling=_ceiling(cases, ranking),
        certificate=Certificate.of(cases, ranking, tuple(labels.values())),
        of_all_lists=of_all_lists,
        by_target={kind: part.labelled(ranking.label) for kind, part in parts.items()},
    )


def _ranks(found: Measured, cases: Cases, ranking: Ranking) -> Ranks:
    # Among drawn candidates each target has rivals of its own, so that none has a place in another one's list.
    questions_C = cases.questions_C if ranking.candidates is None else torch.arange(len(cases))
    return Ranks(found.above_C, found.tied_C, cases.histories.users_U, questions_C)


def _ceiling(cases: Cases, ranking: Ranking) -> float:
    """Share of targets that occur in training and are not hidden, averaged as metrics are."""
    is_hidden_C = hidden_targets(ranking.seen(cases.histories), cases.targets_C)
    is_reachable_C = (cases.is_trained_N[cases.targets_C] & ~is_hidden_C).double()
    return float(of_users(is_reachable_C, cases.histories.users_U).mean())


def _asked(metrics: Sequence[str], ranking: Ranking) -> Asked:
    """The metrics, where they can be measured so: what cannot is refused before anything is scored."""
    asked = parse_metrics(metrics)
    if asked.listed and ranking.candidates is not None:
        raise ConfigurationError(
            f"{', '.join(asked.listed)}: lists are of the whole catalogue and not of drawn items; ask for metrics of "
            f"lists without candidates"
        )
    return asked


def _intervals(found: Mapping[str, Tensor], users_C: Tensor, seed: int) -> dict[str, tuple[float, float]]:
    if not found:
        return {}
    values_UM = torch.stack([of_users(value_C, users_C) for value_C in found.values()], 1)
    bounds = bootstrap_interval(values_UM, generator(seed, Purpose.BOOTSTRAP))
    return {name: (float(low), float(high)) for name, (low, high) in zip(found, bounds.tolist(), strict=True)}
