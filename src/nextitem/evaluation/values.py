"""The one place where ranks and lists become metrics. C cases, U users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from nextitem.data.splits.questions import of_users
from nextitem.evaluation.metrics import rank_metrics
from nextitem.evaluation.metrics.metric import ListMetric, Lists


@dataclass(frozen=True)
class Ranks:
    """Where the targets of C cases stand, and which of them belong together."""

    above_C: Tensor
    """How many items scored higher than each target; inf of one that cannot be listed."""
    tied_C: Tensor
    """How many others scored the same."""
    users_C: Tensor
    """Whose case it is: equal numbers for one user's, `NOBODY` for one of nobody."""
    questions_C: Tensor
    """Which question it belongs to, from 0."""

    def select(self, rows_C: Tensor) -> "Ranks":
        """Those of some cases, by a mask, as if nothing else had been asked for."""
        questions_C = self.questions_C[rows_C].unique(return_inverse=True)[1]
        return Ranks(self.above_C[rows_C], self.tied_C[rows_C], self.users_C[rows_C], questions_C)

    def of_users(self, metrics: Sequence[str], candidates: int) -> dict[str, Tensor]:
        """As `values`, but of every user the mean over their cases, shape (U,) float64."""
        found = values(self.above_C, self.tied_C, metrics, candidates, self.questions_C)
        return {name: of_users(value_C, self.users_C) for name, value_C in found.items()}


def values(
    above_C: Tensor, tied_C: Tensor, metrics: Sequence[str], candidates: int, questions_C: Tensor | None = None
) -> dict[str, Tensor]:
    """By metric, such as `ndcg@10`, the value of every case, shape (C,) float64.

    `above_C` items scored higher than the target and `tied_C` others the same, of `candidates` items that were ranked:
    a k beyond them counts as their number. Cases of equal `questions_C` ask for several targets at once, and have the
    same value of a metric of questions; without it each is a question of its own. Raises ConfigurationError for no or
    an unknown metric, and for one of lists.

    >>> values(Tensor([2, 9]), Tensor([0, 0]), ["hit_rate@5", "mrr"], candidates=10)["mrr"]  # 1 / 3 and 1 / 10
    tensor([0.3333, 0.1000], dtype=torch.float64)
    """
    above_C, tied_C = above_C.double(), tied_C.double()
    asked = rank_metrics(metrics)
    found = {name: metric(above_C, tied_C, min(k, candidates)) for name, (metric, k) in asked.of_targets.items()}
    for name, (metric, k) in asked.of_questions.items():
        found[name] = metric(above_C, tied_C, min(k, candidates), questions_C)
    return {name: found[name] for name in metrics}


def list_values(lists: Lists, metrics: Mapping[str, tuple[ListMetric, int]]) -> dict[str, Tensor]:
    """By metric of lists, such as `novelty@10`, the value of every case, shape (C,) float64."""
    return {name: metric(lists.first(k)) for name, (metric, k) in metrics.items()}
