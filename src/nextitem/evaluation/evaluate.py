"""The only path to a reported number. C cases, U users, M metrics, N items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.hiding import hidden_targets
from nextitem.evaluation.intervals import bootstrap_interval
from nextitem.evaluation.metrics import DEFAULT_METRICS, Asked, parse_metrics
from nextitem.evaluation.metrics.metric import Lists
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.evaluation.ranks import candidate_ranks, target_ranks, top_k
from nextitem.evaluation.scoring import Scorer
from nextitem.evaluation.values import list_values, values
from nextitem.settings.given import must_be, seed_number, texts, yes_or_no


@dataclass(frozen=True)
class Evaluation:
    """Metrics over C cases, with everything needed to doubt them."""

    values: Mapping[str, Tensor]
    """Per metric the value of every case, shape (C,) float64."""
    intervals: Mapping[str, tuple[float, float]]
    """Per metric the 95 % bootstrap interval of the mean over cases; none where they were not asked for."""
    above_C: Tensor
    """How many items scored higher than each target, float64; inf where it is hidden itself or scores −inf."""
    tied_C: Tensor
    """How many others scored the same, float64."""
    users_C: Tensor
    """Whose case it is: an index into the catalogue of users."""
    ceiling: float
    """Share of targets that occur in training and are not hidden: no model of ids alone hits more."""
    certificate: Certificate
    means: Mapping[str, float] = field(init=False)
    """Per metric the mean over cases."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "means", {name: float(value.mean()) for name, value in self.values.items()})

    def as_dict(self) -> dict[str, object]:
        """Means, intervals, ceiling and certificate as plain values."""
        return {
            **self.means,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "ceiling": self.ceiling,
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

    Among drawn candidates every metric is labelled, as `ndcg@10[pop100]`, and the certificate says how they were drawn:
    such a number compares with no full one. A k beyond what is ranked counts as its number. Without `intervals` there
    are none. Each of several processes ranks its share of the cases, and all return the evaluation of all of them.
    Metrics of lists, such as `novelty@10`, are of the k best items of the whole catalogue, in the order in which they
    would be shown. Raises ConfigurationError for no or an unknown metric, and for one of lists among candidates;
    ScoreError for NaN scores.
    """
    must_be(scorer, Scorer, "scorer", "a trained model (run(…).model) is one, and whatever has the method query")
    must_be(cases, Cases, "cases", "prepare(recipe).split.test are some")
    must_be(ranking, Ranking, "ranking", "Ranking.among('popularity:100') is one; leave it out to rank all items")
    must_be(processes, Processes, "processes", "leave them out for one process on the CPU")
    metrics, interval_seed = texts(metrics, "metrics"), seed_number(interval_seed, "interval_seed")
    yes_or_no(intervals, "intervals")
    asked = _asked(metrics, ranking)
    rows = torch.arange(len(cases))[processes.share(len(cases))]
    above_C, tied_C, *listed = processes.gather(_measured(scorer, cases, rows, ranking, asked), len(cases)).unbind(1)
    of_cases = dict(zip(asked.of_lists, listed, strict=True))
    if asked.of_ranks:
        of_cases |= values(above_C, tied_C, [*asked.of_ranks], ranking.size(cases.histories.number_of_items))
    found = {name + ranking.label: of_cases[name] for name in metrics}
    is_hidden_C = hidden_targets(ranking.seen(cases.histories), cases.targets_C)
    is_reachable_C = cases.is_trained_N[cases.targets_C] & ~is_hidden_C
    return Evaluation(
        values=found,
        intervals=_intervals(found, interval_seed) if intervals else {},
        above_C=above_C,
        tied_C=tied_C,
        users_C=cases.histories.users_U,
        ceiling=float(is_reachable_C.double().mean()),
        certificate=Certificate.of(cases, ranking, tuple(found)),
    )


def _asked(metrics: Sequence[str], ranking: Ranking) -> Asked:
    """The metrics, where they can be measured so: what cannot is refused before anything is scored."""
    asked = parse_metrics(metrics)
    if asked.of_lists and ranking.candidates is not None:
        raise ConfigurationError(
            f"{', '.join(asked.of_lists)}: lists are of the whole catalogue and not of drawn items; ask for metrics of "
            f"lists without candidates"
        )
    return asked


def _measured(scorer: Scorer, cases: Cases, rows: Tensor, ranking: Ranking, asked: Asked) -> Tensor:
    """above, tied and the values of each metric of lists, a column each, of some of the cases."""
    histories, targets_C = cases.histories.select(rows), cases.targets_C[rows]
    query, seen = scorer.query(histories), ranking.seen(histories)
    drawn_CK = ranking.draw(cases)  # of all cases: what a process draws may not depend on its share
    if drawn_CK is None:
        ranks = target_ranks(query, targets_C, seen)
    else:
        ranks = candidate_ranks(query, targets_C, drawn_CK[rows], seen)
    if not asked.of_lists:
        return torch.stack(ranks, 1)
    longest = min(max(k for _, k in asked.of_lists.values()), cases.histories.number_of_items)
    lists = Lists(top_k(query, longest, seen)[0], cases.counts_N)
    return torch.stack([*ranks, *list_values(lists, asked.of_lists).values()], 1)


def _intervals(found: Mapping[str, Tensor], seed: int) -> dict[str, tuple[float, float]]:
    bounds = bootstrap_interval(torch.stack(list(found.values()), 1), generator(seed, Purpose.BOOTSTRAP))
    return {name: (float(low), float(high)) for name, (low, high) in zip(found, bounds.tolist(), strict=True)}
