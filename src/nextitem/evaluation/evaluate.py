"""The only path to a reported number. C cases, U users, M metrics, N items."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.split import Cases
from nextitem.evaluation.candidates import Candidates
from nextitem.evaluation.intervals import bootstrap_interval
from nextitem.evaluation.metrics import DEFAULT_METRICS, parse_metrics
from nextitem.evaluation.ranking import candidate_ranks, target_ranks
from nextitem.evaluation.scoring import Scorer
from nextitem.evaluation.values import values


@dataclass(frozen=True)
class Certificate:
    """What a number was measured on; two numbers may be compared only if their certificates are equal."""

    dataset: str
    split: str
    """sha256 over the histories and targets."""
    cases: int
    hidden: str
    """Which items are left out of the ranking: `history` or `nothing`."""
    ties: str
    """How items of equal score are ordered: `expectation` over a random order."""
    ranking: str
    """`full` catalogue, or how a case's negatives were drawn, such as `popularity:100, seed 0`."""
    candidates: int
    """Number of items that are ranked."""
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Metrics over C cases, with everything needed to doubt them."""

    values: Mapping[str, Tensor]
    """Per metric the value of every case, shape (C,) float64."""
    intervals: Mapping[str, tuple[float, float]]
    """Per metric the 95 % bootstrap interval of the mean over cases; none where they were not asked for."""
    above_C: Tensor
    tied_C: Tensor
    users_C: Tensor
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
    candidates: Candidates | None = None,
    hide_seen: bool = True,
    dataset: str = "unnamed",
    intervals: bool = True,
    interval_seed: int = 0,
    processes: Processes = ALONE,
) -> Report:
    """Rank every case's target in the full catalogue and report `metrics` such as `ndcg@10`.

    With `candidates` a target is ranked among the negatives that they draw for its case. Every metric is then labelled,
    as `ndcg@10[pop100]`, and the certificate says how they were drawn: such a number compares with no full one.

    With `hide_seen` the items of the whole history are left out of the ranking; a target that repeats one of them
    counts as missed. A k beyond the catalogue counts as its size. Without `intervals` the report has none. Each of
    several processes ranks its share of the cases, and all report on all of them. Raises
    ConfigurationError for no or an unknown metric and ScoreError for NaN scores.
    """
    parse_metrics(metrics)  # what is unknown is refused before anything is scored
    label = "" if candidates is None else f"[{candidates.label}]"
    ranked = cases.histories.number_of_items if candidates is None else candidates.count + 1
    ranks = _ranks(scorer, cases, torch.arange(len(cases))[processes.share(len(cases))], candidates, hide_seen)
    above_C, tied_C = processes.gather(torch.stack(ranks, 1), len(cases)).unbind(1)
    found = {name + label: value_C for name, value_C in values(above_C, tied_C, metrics, ranked).items()}
    is_reachable_C = cases.trained_N[cases.targets_C] & above_C.isfinite()
    certificate = Certificate(
        dataset=dataset,
        split=cases.sha256,
        cases=len(cases),
        hidden="history" if hide_seen else "nothing",
        ties="expectation",
        ranking="full" if candidates is None else str(candidates),
        candidates=ranked,
        metrics=tuple(found),
    )
    return Report(
        values=found,
        intervals=_intervals(found, interval_seed) if intervals else {},
        above_C=above_C,
        tied_C=tied_C,
        users_C=cases.histories.users_U,
        ceiling=float(is_reachable_C.double().mean()),
        certificate=certificate,
    )


def _ranks(
    scorer: Scorer, cases: Cases, rows: Tensor, candidates: Candidates | None, hide_seen: bool
) -> tuple[Tensor, Tensor]:
    """(above, tied) of some of the cases."""
    histories, targets_C = cases.histories.select(rows), cases.targets_C[rows]
    query, seen = scorer.query(histories), histories if hide_seen else None
    if candidates is None:
        return target_ranks(query, targets_C, seen)
    return candidate_ranks(query, targets_C, candidates.draw(cases, hide_seen=hide_seen)[rows], seen)


def _intervals(found: Mapping[str, Tensor], seed: int) -> dict[str, tuple[float, float]]:
    bounds = bootstrap_interval(torch.stack(list(found.values()), 1), generator(seed, Purpose.BOOTSTRAP))
    return {name: (float(low), float(high)) for name, (low, high) in zip(found, bounds.tolist(), strict=True)}
