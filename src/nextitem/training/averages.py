"""The weights of a training, averaged over its steps."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nextitem.model.weights import check_alike

_STEPS = "steps"


class Averages:
    """Exponential moving averages of weights, without those that they began with.

    After step t they are (1 − β) Σᵢ βᵗ⁻ⁱ wᵢ / (1 − βᵗ) over the weights after steps i = 1 … t: Polyak & Juditsky (1992)
    averaged so without forgetting, and the quotient is Adam's correction of the bias (Kingma & Ba, 2015, section 3). So
    there is no step at which averaging has to begin: the first few are a plain mean. Followed as a running mean,
    a ← a + (1 − β)/(1 − βᵗ) · (w − a), which is the same number.
    """

    def __init__(self, weights: Iterable[nn.Parameter], decay: float) -> None:
        self.weights, self.decay, self.steps = list(weights), decay, 0
        self.averages = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def follow(self) -> None:
        """Count the weights as they are after a step."""
        self.steps += 1
        share = (1 - self.decay) / (1 - self.decay**self.steps)
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.lerp_(weight, share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the weights are their averages."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def keep(self) -> None:
        """Make the weights their averages for good."""
        for average, weight in zip(self.averages, self.weights, strict=True):
            weight.copy_(average)

    @torch.no_grad()
    def _exchange(self) -> None:
        for average, weight in zip(self.averages, self.weights, strict=True):
            before = weight.clone()
            weight.copy_(average)
            average.copy_(before)

    def tensors(self) -> dict[str, Tensor]:
        """The averages, and how many steps they are of."""
        averages = {str(number): average for number, average in enumerate(self.averages)}
        return averages | {_STEPS: torch.tensor(self.steps)}

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise ValueError where `tensors` are not those of such weights."""
        check_alike(tensors, self.tensors())
        if int(tensors[_STEPS]) < 0 or not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ValueError("averages of weights hold what can be none")

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors()` returned and `check` accepts."""
        for number, average in enumerate(self.averages):
            average.copy_(tensors[str(number)])
        self.steps = int(tensors[_STEPS])
