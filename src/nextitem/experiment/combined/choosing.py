"""How much counting is to weigh beside a model: tried one after another on validation cases, and on nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Query
from nextitem.experiment.combined.blending import Blendable, BlendQuery, Chosen, Counted

METRIC = "ndcg@10"


@dataclass(frozen=True)
class Candidates:
    """The values of each number that are tried."""

    co_occurrence: Sequence[float]
    decay: Sequence[float]
    recent: Sequence[float]
    days: Sequence[float]

    def settled(self) -> Chosen | None:
        """The one choice that there is; None where there are several."""
        several = (self.co_occurrence, self.decay, self.recent, self.days)
        return Chosen(*(values[0] for values in several)) if all(len(values) == 1 for values in several) else None

    def rounds(self) -> Iterator[list[dict[str, float]]]:
        """What is changed of the best choice so far, round by round: a coordinate search from the first values."""
        yield [{"co_occurrence": value} for value in self.co_occurrence]
        yield [{"decay": value} for value in self.decay]
        yield [{"co_occurrence": value} for value in self.co_occurrence]
        yield [{"recent": recent, "days": days} for recent, days in product(self.recent, self.days)]
        yield [{"co_occurrence": value} for value in self.co_occurrence]


def choose(
    model: Blendable, counted: Counted, candidates: Candidates, cases: Cases, ranking: Ranking
) -> tuple[Chosen, Tensor]:
    """(the choice of the highest NDCG@10 on `cases`, all that were tried (G, 5): four numbers each and its NDCG@10).

    Of equals the first one tried is taken. The model encodes the histories once.
    """
    if (settled := candidates.settled()) is not None:
        return settled, torch.zeros(0, 5, dtype=torch.float64)
    remembered = _Remembered(model)
    several = (candidates.co_occurrence, candidates.decay, candidates.recent, candidates.days)
    best, found = Chosen(*(values[0] for values in several)), dict[Chosen, float]()
    for changes in candidates.rounds():
        for chosen in [best, *(replace(best, **change) for change in changes)]:
            if chosen not in found:
                scorer = _Asked(remembered, counted, chosen)
                found[chosen] = evaluate(scorer, cases, [METRIC], ranking=ranking, intervals=False).means[METRIC]
        best = max(found, key=lambda one: found[one])
    tried = [torch.cat([chosen.as_tensor(), torch.tensor([value]).double()]) for chosen, value in found.items()]
    return best, torch.stack(tried)


class _Remembered:
    """A model that is asked about the same histories again and again."""

    def __init__(self, model: Blendable) -> None:
        self.model = model
        self._last: tuple[Sequences, Query] | None = None

    def query(self, histories: Sequences) -> Query:
        if self._last is None or not _are_same(self._last[0], histories):
            self._last = histories, self.model.query(histories)
        return self._last[1]


def _are_same(one: Sequences, other: Sequences) -> bool:
    return torch.equal(one.starts_U, other.starts_U) and torch.equal(one.stops_U, other.stops_U)


@dataclass(frozen=True)
class _Asked:
    model: _Remembered
    counted: Counted
    chosen: Chosen

    def query(self, histories: Sequences) -> BlendQuery:
        return BlendQuery(self.model.query(histories), histories, self.counted, self.chosen)
