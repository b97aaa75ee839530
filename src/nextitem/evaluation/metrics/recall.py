"""How much of what came is in the list. C cases."""

import torch
from torch import Tensor

from nextitem.evaluation.metrics.hit_rate import hit_rate
from nextitem.evaluation.metrics.metric import share, total


def recall(above_C: Tensor, tied_C: Tensor, k: int, questions_C: Tensor | None = None) -> Tensor:
    """Expected share of each question's targets that are among the first k items, shape (C,).

    >>> recall(torch.tensor([0.0, 7.0]), torch.tensor([0.0, 0.0]), k=5, questions_C=torch.tensor([0, 0]))
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    hits_C = hit_rate(above_C, tied_C, k)
    return share(total(hits_C, questions_C), total(torch.ones_like(hits_C), questions_C))
