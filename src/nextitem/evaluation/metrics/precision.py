"""How much of the list came. C cases."""

from torch import Tensor

from nextitem.evaluation.metrics.hit_rate import hit_rate
from nextitem.evaluation.metrics.metric import share, total


def precision(above_C: Tensor, tied_C: Tensor, k: int, questions_C: Tensor | None = None) -> Tensor:
    """Expected share of the first k items that are targets of each question, shape (C,).

    >>> precision(Tensor([0.0, 7.0]), Tensor([0.0, 0.0]), k=5, questions_C=Tensor([0, 0]).long())
    tensor([0.2000, 0.2000], dtype=torch.float64)
    """
    return share(total(hit_rate(above_C, tied_C, k), questions_C), k)
