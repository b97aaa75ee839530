"""Rank metrics in expectation over a random order of tied items. C cases.

Every function takes `above_C`, how many items score strictly higher than the target, and `tied_C`, how many others
score exactly the same. A target that cannot be ranked has above = inf and earns 0. NDCG and MRR have one relevant item
per case, so the ideal DCG is 1. All are float64.
"""

import re
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from nextitem.errors import ConfigurationError

RankMetric = Callable[[Tensor, Tensor, int], Tensor]


def hit_rate(above_C: Tensor, tied_C: Tensor, k: int) -> Tensor:
    """Probability that each case's target is among the first k items, shape (C,); with one target also recall@k.

    A constant scorer earns chance level, k / N.

    >>> hit_rate(torch.tensor([0.0]), torch.tensor([1.0]), k=1)  # one rival with the same score
    tensor([0.5000])
    """
    return ((k - above_C) / (tied_C + 1)).clamp(0, 1)


def ndcg(above_C: Tensor, tied_C: Tensor, k: int) -> Tensor:
    """Expected 1 / log₂(rank + 1) of each target, 0 beyond rank k, shape (C,).

    >>> ndcg(torch.tensor([1.0]), torch.tensor([0.0]), k=10)  # second place: 1 / log2(3)
    tensor([0.6309], dtype=torch.float64)
    """
    ranks = torch.arange(1, k + 1, dtype=torch.float64)
    return _expected_gain(above_C, tied_C, 1 / torch.log2(ranks + 1))


def mrr(above_C: Tensor, tied_C: Tensor, k: int) -> Tensor:
    """Expected 1 / rank of each target, 0 beyond rank k, shape (C,); with one target also MAP@k.

    >>> mrr(torch.tensor([3.0]), torch.tensor([0.0]), k=10)
    tensor([0.2500], dtype=torch.float64)
    """
    return _expected_gain(above_C, tied_C, 1 / torch.arange(1, k + 1, dtype=torch.float64))


def _expected_gain(above_C: Tensor, tied_C: Tensor, gains_k: Tensor) -> Tensor:
    """Mean gain over the ranks above + 1 … above + tied + 1, each as likely as the others."""
    k = len(gains_k)
    sums = torch.cat([gains_k.new_zeros(1), gains_k.cumsum(0)]).to(above_C.device)
    first_C = above_C.clamp(max=k).long()
    last_C = (above_C + tied_C + 1).clamp(max=k).long()
    return (sums[last_C] - sums[first_C]) / (tied_C + 1)


RANK_METRICS: dict[str, RankMetric] = {"hit_rate": hit_rate, "ndcg": ndcg, "mrr": mrr}


def parse_metric(name: str) -> tuple[RankMetric, int]:
    """The function and the k of a name such as `ndcg@10`. Raises ConfigurationError for another form.

    `mrr` alone is not cut: its k is larger than any catalogue.
    """
    if name == "mrr":
        return mrr, sys.maxsize
    match = re.fullmatch(r"([a-z_]+)@([1-9][0-9]*)", name)
    if match is None or match[1] not in RANK_METRICS:
        known = ", ".join(f"{metric}@k" for metric in RANK_METRICS)
        raise ConfigurationError(
            f"unknown metric '{name}'; known are {known}, with k a positive number, and mrr without one"
        )
    return RANK_METRICS[match[1]], int(match[2])
