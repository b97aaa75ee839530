"""Is the target in the list? C cases."""

from torch import Tensor


def hit_rate(above_C: Tensor, tied_C: Tensor, k: int) -> Tensor:
    """Probability that each case's target is among the first k items, shape (C,); with one target also recall@k.

    A constant scorer earns chance level, k / N.

    >>> hit_rate(Tensor([0.0]), Tensor([1.0]), k=1)  # one rival with the same score
    tensor([0.5000], dtype=torch.float64)
    """
    return ((k - above_C.double()) / (tied_C.double() + 1)).clamp(0, 1)
