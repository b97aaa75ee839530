"""How near the top the target is, by the inverse of its rank. C cases."""

import torch
from torch import Tensor

from nextitem.evaluation.metrics.metric import expected_gain


def mrr(above_C: Tensor, tied_C: Tensor, k: int) -> Tensor:
    """Expected 1 / rank of each target, 0 beyond rank k, shape (C,); with one target also MAP@k.

    >>> mrr(torch.tensor([3.0]), torch.tensor([0.0]), k=10)
    tensor([0.2500], dtype=torch.float64)
    """
    return expected_gain(above_C, tied_C, 1 / torch.arange(1, k + 1, dtype=torch.float64))
