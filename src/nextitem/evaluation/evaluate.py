"""The only path to a reported number. C cases, U users, M metrics, N items."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.split import Cases
from nextitem.evaluation.certificate import Certificate
from nextitem.evaluation.intervals import bootstrap_interval
from nextitem.evaluation.metrics import DEFAULT_METRICS, parse_metrics
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.evaluation.ranks import candidate_ranks, target_ranks
from nextitem.evaluation.scoring import Scorer
from nextitem.evaluation.values import values


@dataclass(frozen=True)
class Evaluation:
    """Metrics over C cases, with everything needed to doubt them."""

    values: Mapping[str, Tensor]
    """Per metric the value of every case, shape (C,) float64."""
    intervals: Mapping[str, tuple[float, float]]
    """Per metric the 95 % bootstrap interval of the mean over cases; none where they were not asked for."""
    above_C: Tensor
    """How many items scored higher than each target, float64; inf where the target is hidden itself."""
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
            "certificate": asdict(self.certificate),
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
    Raises ConfigurationError for no or an unknown metric and ScoreError for NaN scores.
    """
    parse_metrics(metrics)  # what is unknown is refused before anything is scored
    ranks = _ranks(scorer, cases, torch.arange(len(cases))[processes.share(len(cases))], ranking)
    above_C, tied_C = processes.gather(torch.stack(ranks, 1), len(cases)).unbind(1)
    of_cases = values(above_C, tied_C, metrics, ranking.size(cases.histories.number_of_items))
    found = {name + ranking.label: value_C for name, value_C in of_cases.items()}
    is_reachable_C = cases.is_trained_N[cases.targets_C] & above_C.isfinite()
    return Evaluation(
        values=found,
        intervals=_intervals(found, interval_seed) if intervals else {},
        above_C=above_C,
        tied_C=tied_C,
        users_C=cases.histories.users_U,
        ceiling=float(is_reachable_C.double().mean()),
        certificate=Certificate.of(cases, ranking, tuple(found)),
    )


def _ranks(scorer: Scorer, cases: Cases, rows: Tensor, ranking: Ranking) -> tuple[Tensor, Tensor]:
    """(above, tied) of some of the cases."""
    histories, targets_C = cases.histories.select(rows), cases.targets_C[rows]
    query, seen = scorer.query(histories), ranking.seen(histories)
    drawn_CK = ranking.draw(cases)  # of all cases: what a process draws may not depend on its share
    if drawn_CK is None:
        return target_ranks(query, targets_C, seen)
    return candidate_ranks(query, targets_C, drawn_CK[rows], seen)


def _intervals(found: Mapping[str, Tensor], seed: int) -> dict[str, tuple[float, float]]:
    bounds = bootstrap_interval(torch.stack(list(found.values()), 1), generator(seed, Purpose.BOOTSTRAP))
    return {name: (float(low), float(high)) for name, (low, high) in zip(found, bounds.tolist(), strict=True)}
