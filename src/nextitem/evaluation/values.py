"""The one place where ranks become metrics. C cases."""

from collections.abc import Sequence

from torch import Tensor

from nextitem.evaluation.metrics import parse_metrics


def values(above_C: Tensor, tied_C: Tensor, metrics: Sequence[str], candidates: int) -> dict[str, Tensor]:
    """By metric, such as `ndcg@10`, the value of every case, shape (C,) float64.

    `above_C` items scored higher than the target and `tied_C` others the same, of `candidates` items that were ranked:
    a k beyond them counts as their number. Raises ConfigurationError for no or an unknown metric.

    >>> values(Tensor([2, 9]), Tensor([0, 0]), ["hit_rate@5", "mrr"], candidates=10)["mrr"]  # 1 / 3 and 1 / 10
    tensor([0.3333, 0.1000], dtype=torch.float64)
    """
    above_C, tied_C = above_C.double(), tied_C.double()
    return {name: metric(above_C, tied_C, min(k, candidates)) for name, (metric, k) in parse_metrics(metrics).items()}
