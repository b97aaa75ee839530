"""How near the top the targets are, by the logarithm of their ranks. C cases."""

import torch
from torch import Tensor

from nextitem.evaluation.metrics.metric import expected_gain, share, total


def ndcg(above_C: Tensor, tied_C: Tensor, k: int, questions_C: Tensor | None = None) -> Tensor:
    """Expected discounted gain of each question's targets, as a share of the most there can be, shape (C,).

    A target at rank r gains 1 / log₂(r + 1), and nothing beyond rank k. The most is what a list gains that begins with
    the targets: 1 where there is one, so that the value is then the gain itself.

    K. Järvelin and J. Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 20 (2002), with gains 0 and 1.

    >>> ndcg(torch.tensor([1.0]), torch.tensor([0.0]), k=10)  # second place: 1 / log2(3)
    tensor([0.6309], dtype=torch.float64)
    """
    gains_k = 1 / torch.log2(torch.arange(1, k + 1, dtype=torch.float64) + 1)
    found_C = expected_gain(above_C, tied_C, gains_k)
    targets_C = total(torch.ones_like(found_C), questions_C)
    ideal_C = gains_k.cumsum(0).to(found_C.device)[targets_C.clamp(max=k).long() - 1]
    return share(total(found_C, questions_C), ideal_C)
