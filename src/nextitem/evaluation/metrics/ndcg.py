"""How near the top the target is, by the logarithm of its rank. C cases."""

import torch
from torch import Tensor

from nextitem.evaluation.metrics.metric import expected_gain


def ndcg(above_C: Tensor, tied_C: Tensor, k: int) -> Tensor:
    """Expected 1 / log₂(rank + 1) of each target, 0 beyond rank k, shape (C,).

    One item is relevant to a case, so the ideal DCG is 1.

    >>> ndcg(torch.tensor([1.0]), torch.tensor([0.0]), k=10)  # second place: 1 / log2(3)
    tensor([0.6309], dtype=torch.float64)
    """
    ranks = torch.arange(1, k + 1, dtype=torch.float64)
    return expected_gain(above_C, tied_C, 1 / torch.log2(ranks + 1))
