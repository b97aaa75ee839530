"""What a service answered to cases, beside what their offline ranks say. C cases, U users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nextitem.evaluation.values import Ranks
from nextitem.serving.replay.cases import ReplayCases

_DAY = 86_400
_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True)
class Period:
    """Cases of one span of the model's age."""

    days: tuple[float, float]
    """From and to, in days since the latest event that the model learnt or, where its time is unknown, since the first
    case."""
    cases: int
    served: Mapping[str, float]
    offline: Mapping[str, float]


@dataclass(frozen=True)
class Replayed:
    """C cases as they were answered."""

    cases: ReplayCases
    k: int
    number_of_items: int
    place_C: Tensor
    """At which place of the list the target stood, from 1; 0 where it was not there."""
    is_late_C: Tensor
    """Whether the deadline of the service was over, so that the most popular items were the answer."""
    asked_seconds: Sequence[float]
    """Of each request for lists."""
    told_seconds: Sequence[float] = ()
    """Of each request that stored an event."""
    together: int = 1
    """How many cases one request asked about at most."""

    @property
    def metrics(self) -> list[str]:
        """What is measured."""
        return [f"hit_rate@{self.k}", f"ndcg@{self.k}"]

    @property
    def served(self) -> dict[str, float]:
        """Each metric of the lists that were answered, the mean over users of the mean over their cases."""
        return self._means(self._served_ranks)

    @property
    def offline(self) -> dict[str, float]:
        """The same of the offline ranks, in which ties count by their expectation."""
        return self._means(self.cases.ranks)

    @cached_property
    def is_edge_C(self) -> Tensor:
        """Whether items of the target's score are both within k and beyond it: a list shows one order, and the offline
        number is the expectation over all of them.
        """
        above_C, tied_C = self.cases.ranks.above_C, self.cases.ranks.tied_C
        return (above_C < self.k) & (above_C + tied_C >= self.k)

    @cached_property
    def differs_C(self) -> Tensor:
        """Whether a target stood where its offline rank cannot be: better or worse than all places that its ties leave.

        Answers after the deadline are not the model's, and are not compared.
        """
        above_C, tied_C = self.cases.ranks.above_C, self.cases.ranks.tied_C
        is_listed_C = self.place_C > 0
        fits_C = (self.place_C > above_C) & (self.place_C <= above_C + tied_C + 1)
        return torch.where(is_listed_C, ~fits_C, above_C + tied_C < self.k) & ~self.is_late_C

    def hits(self) -> tuple[int, int, int]:
        """(targets in the lists, those that are offline whatever the order of ties, those that ties at k decide)."""
        above_C, tied_C = self.cases.ranks.above_C, self.cases.ranks.tied_C
        return int((self.place_C > 0).sum()), int((above_C + tied_C < self.k).sum()), int(self.is_edge_C.sum())

    def periods(self, most: int = 5) -> list[Period]:
        """The cases by the model's age, in spans of equal length; none of cases without times."""
        if not len(self.cases.times):
            return []
        times_C = torch.tensor(self.cases.times, dtype=torch.float64)
        first, last = float(times_C.min()), float(times_C.max())
        begin = first if self.cases.learnt_until is None else self.cases.learnt_until
        span = (last - first) / most
        number_C = ((times_C - first) / span).long().clamp(max=most - 1) if span else torch.zeros(len(times_C)).long()
        found = list[Period]()
        for number in number_C.unique().tolist():
            rows_C = number_C == number
            bounds = (first + number * span - begin) / _DAY, (first + (number + 1) * span - begin) / _DAY
            served, offline = (self._means(one.select(rows_C)) for one in (self._served_ranks, self.cases.ranks))
            found.append(Period(bounds, int(rows_C.sum()), served, offline))
        return found

    def as_dict(self) -> dict[str, object]:
        """All of it as plain values."""
        listed, sure, edge = self.hits()
        served, offline = self.served, self.offline
        return {
            "cases": len(self.cases),
            "users": len(set(self.cases.users)),
            "metrics": {name: {"served": served[name], "offline": offline[name]} for name in self.metrics},
            "hits": {"served": listed, "offline": sure, "tied_at_k": edge},
            "differ": int(self.differs_C.sum()),
            "after_deadline": int(self.is_late_C.sum()),
            "milliseconds": {
                "recommend": {"cases_a_request": self.together, **percentiles(self.asked_seconds)},
                **({"events": percentiles(self.told_seconds)} if self.told_seconds else {}),
            },
            "age": [
                {"days": [*one.days], "cases": one.cases, "served": {**one.served}, "offline": {**one.offline}}
                for one in self.periods()
            ],
            "age_since": None if not self.cases.times else "first case" if self.cases.learnt_until is None else "run",
        }

    @cached_property
    def _served_ranks(self) -> Ranks:
        above_C = (self.place_C.double() - 1).masked_fill(self.place_C == 0, torch.inf)
        ranks = self.cases.ranks
        return Ranks(above_C, torch.zeros_like(above_C), ranks.users_C, ranks.questions_C)

    def _means(self, ranks: Ranks) -> dict[str, float]:
        return {name: float(one.mean()) for name, one in ranks.of_users(self.metrics, self.number_of_items).items()}


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds that a share of the requests took at most.

    >>> percentiles([0.001, 0.003])["max"]
    3.0
    """
    values = torch.tensor(seconds, dtype=torch.float64) * 1000
    return {name: round(float(values.quantile(share)), 3) for name, share in _SHARES.items()}
