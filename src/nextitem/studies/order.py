"""Whether the order of events tells anything: the same counts, learnt from histories and from shuffled ones.

A. Klenitskiy, A. Volodkevich, A. Pembek, A. Vasilev, Does It Look Sequential?, RecSys 2024, shuffle the histories that
a trained model is shown. Here what is learnt from is shuffled too, since a count takes seconds: so the second model
knows what occurs with what, and nothing of what comes after what. U users, C cases.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nextitem.compute.randomness import Purpose, generator
from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.data.splits.questions import firsts
from nextitem.data.splits.split import Cases, Split
from nextitem.evaluation.draws import bootstrap
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.intervals import p_values, percentiles
from nextitem.evaluation.ranking import Ranking
from nextitem.model.baselines import CoOccurrence
from nextitem.training.validation import validation_cases
from nextitem.words import with_interval

METRIC = "ndcg@10"
_MOST_CASES = 5000
_CERTAIN = 0.05


@dataclass(frozen=True)
class Order:
    """Validation NDCG@10 of counting what came right after what, in the true and in a shuffled order."""

    cases: int
    """Validation cases, at most five thousand of them, drawn."""
    true: float
    shuffled: float
    interval: tuple[float, float]
    """95 % interval of the difference, over users."""
    p: float
    """Of the difference being 0."""

    @property
    def helps(self) -> bool:
        """Whether the true order is better, beyond chance."""
        return self.true > self.shuffled and self.p < _CERTAIN

    @property
    def finding(self) -> Finding:
        """Both values, and whether their difference is one."""
        difference = with_interval(self.true - self.shuffled, self.interval, "+.4f")
        values = f"counting what came next finds NDCG@10 {self.true:.4f}, of shuffled histories {self.shuffled:.4f}"
        if self.helps:
            return Finding(f"order helps: {values}; difference {difference}, p {self.p:.2g}")
        remedy = "expect little of a sequence model beyond what a baseline gives; look whether times are right"
        return Finding(
            f"no sign that order helps: {values}; difference {difference}, p {self.p:.2g}", Severity.WARNING, remedy
        )


def order_test(split: Split, hide: str) -> Order | None:
    """Counts of what follows what, learnt and asked in the true order and in a shuffled one, on the same cases.

    None where no history has two training events, or there is no validation case: nothing follows anything.
    """
    train, cases = split.train.without_times(), validation_cases(split.validation, _MOST_CASES, seed=0)
    if not len(cases) or not bool((train.sizes_U >= 2).any()):
        return None
    # Targets that are asked after one history are asked after one shuffled history: they stay one question.
    asked_Q = cases.histories.select(firsts(cases.questions_C))
    mixed = replace(cases, histories=shuffled(asked_Q, 1).select(cases.questions_C))
    values = [_values(each, asked, Ranking(hide)) for each, asked in ((train, cases), (shuffled(train, 0), mixed))]
    draws = bootstrap([one[None] for one in values], generator(0, Purpose.BOOTSTRAP), pairs=[(0, 1)])
    ((low, high),) = percentiles(draws.differences[0]).tolist()
    true, other = (float(one.mean()) for one in values)
    return Order(len(cases), true, other, (low, high), float(p_values(draws.differences[0])))


def _values(train: Sequences, cases: Cases, ranking: Ranking) -> Tensor:
    """NDCG@10 of each user, the mean over the user's cases, shape (U, 1)."""
    found = evaluate(CoOccurrence().learn(train), cases, [METRIC], ranking=ranking, intervals=False)
    _, places_C = torch.unique(found.users_C, return_inverse=True)
    sums_U = torch.zeros(int(places_C.max()) + 1, dtype=torch.float64).index_add(0, places_C, found.values[METRIC])
    return (sums_U / torch.bincount(places_C))[:, None]


def shuffled(histories: Sequences, stream: int) -> Sequences:
    """The same views with the events of each in a random order of their own, copied into memory, without times."""
    rows, items = histories.flatten()
    keys = torch.rand(len(items), generator=generator(0, Purpose.SHUFFLE, stream), dtype=torch.float64)
    order = torch.argsort(rows.double() + keys)
    weights = histories.weights()[order] if histories.has_weights else None
    stops_U = histories.sizes_U.cumsum(0)
    events = Events(items[order], histories.number_of_items, weights=weights)
    return Sequences(events, stops_U - histories.sizes_U, stops_U, histories.users_U)
