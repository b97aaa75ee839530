"""The only path to a reported number. C cases, Q questions, U users, M metrics, N items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nextitem.compute.processes import ALONE, Processes
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.splits.questions import firsts
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
from nextitem.evaluation.users import of_users
from nextitem.evaluation.values import list_values, values
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
    means: Mapping[str, float] = field(init=False)
    """Per metric the mean over users of the mean over their cases."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "means", {name: float(value_U.mean()) for name, value_U in self.of_users().items()})

    def of_users(self) -> dict[str, Tensor]:
        """Per metric of every user the mean over their cases, shape (U,), in the order of their first cases."""
        return {name: of_users(value_C, self.users_C) for name, value_C in self.values.items()}

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

    A user may have several cases: means are over users, of the mean over their cases, and intervals resample users.
    Targets of one question, which are several cases of one user and history, have one value of `ndcg@k`, `recall@k`,
    `precision@k` and `map@k`; among drawn candidates each is a question of its own.

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
        together_C = cases.questions_C if ranking.candidates is None else None
        ranked = ranking.size(cases.histories.number_of_items)
        of_cases |= values(above_C, tied_C, asked.of_ranks, ranked, together_C)
    found = {name + ranking.label: of_cases[name] for name in metrics}
    is_hidden_C = hidden_targets(ranking.seen(cases.histories), cases.targets_C)
    is_reachable_C = (cases.is_trained_N[cases.targets_C] & ~is_hidden_C).double()
    users_C = cases.histories.users_U
    return Evaluation(
        values=found,
        intervals=_intervals(found, users_C, interval_seed) if intervals else {},
        above_C=above_C,
        tied_C=tied_C,
        users_C=users_C,
        ceiling=float(of_users(is_reachable_C, users_C).mean()),
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
    drawn_CK = ranking.draw(cases)  # of all cases: what a process draws may not depend on its share
    if drawn_CK is not None:
        ranks = candidate_ranks(scorer.query(histories), targets_C, drawn_CK[rows], ranking.seen(histories))
        return torch.stack(ranks, 1)
    # Of one question every target is read from the same scores, which two rows need not have to the last bit.
    questions_C = cases.questions_C[rows].unique(return_inverse=True)[1]
    asked_Q = histories.select(firsts(questions_C))
    query, seen = scorer.query(asked_Q), ranking.seen(asked_Q)
    ranks = target_ranks(query, targets_C, seen, questions_C)
    if not asked.of_lists:
        return torch.stack(ranks, 1)
    longest = min(max(k for _, k in asked.of_lists.values()), cases.histories.number_of_items)
    lists = Lists(top_k(query, longest, seen)[0], cases.counts_N)
    listed = [value_Q[questions_C] for value_Q in list_values(lists, asked.of_lists).values()]
    return torch.stack([*ranks, *listed], 1)


def _intervals(found: Mapping[str, Tensor], users_C: Tensor, seed: int) -> dict[str, tuple[float, float]]:
    values_UM = torch.stack([of_users(value_C, users_C) for value_C in found.values()], 1)
    bounds = bootstrap_interval(values_UM, generator(seed, Purpose.BOOTSTRAP))
    return {name: (float(low), float(high)) for name, (low, high) in zip(found, bounds.tolist(), strict=True)}
