"""The one place where ranks and lists become metrics. C cases."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from nextitem.evaluation.metrics import rank_metrics
from nextitem.evaluation.metrics.metric import ListMetric, Lists


def values(above_C: Tensor, tied_C: Tensor, metrics: Sequence[str], candidates: int) -> dict[str, Tensor]:
    """By metric, such as `ndcg@10`, the value of every case, shape (C,) float64.

    `above_C` items scored higher than the target and `tied_C` others the same, of `candidates` items that were ranked:
    a k beyond them counts as their number. Raises ConfigurationError for no or an unknown metric, and for one of lists.

    >>> values(Tensor([2, 9]), Tensor([0, 0]), ["hit_rate@5", "mrr"], candidates=10)["mrr"]  # 1 / 3 and 1 / 10
    tensor([0.3333, 0.1000], dtype=torch.float64)
    """
    above_C, tied_C = above_C.double(), tied_C.double()
    return {name: metric(above_C, tied_C, min(k, candidates)) for name, (metric, k) in rank_metrics(metrics).items()}


def list_values(lists: Lists, metrics: Mapping[str, tuple[ListMetric, int]]) -> dict[str, Tensor]:
    """By metric of lists, such as `novelty@10`, the value of every case, shape (C,) float64."""
    return {name: metric(lists.first(k)) for name, (metric, k) in metrics.items()}
