"""What follows from weights alone, kept for as long as they are as they were."""

from collections.abc import Callable
from itertools import chain
from typing import Generic, Self, TypeVar

import torch
from torch import nn

Value = TypeVar("Value")


class Kept(nn.Module, Generic[Value]):
    """The last value that was computed of some weights, out of training; a part of the module that has them.

    A service asks hundreds of times a second; what it needs of the weights alone may take as long as an answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[tuple[tuple[int, int], ...], Value] | None = None

    def train(self, mode: bool = True) -> Self:
        """Forget the value: steps of fused optimisers move weights without a trace."""
        self._last = None
        return super().train(mode)

    def of(self, weights: nn.Module, compute: Callable[[], Value]) -> Value:
        """What `compute` returns of the weights, which is called where one of them has changed since the last call.

        Anew each time in training, where gradients are taken, and where a program is traced, which has no weights.
        """
        if self.training or torch.is_grad_enabled() or torch.compiler.is_exporting():
            return compute()
        state = tuple((each.data_ptr(), each._version) for each in chain(weights.parameters(), weights.buffers()))
        if self._last is None or self._last[0] != state:
            self._last = (state, compute())
        return self._last[1]
