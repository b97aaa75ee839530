"""How sure a mean is. C cases, M metrics."""

import torch
from torch import Tensor

from nextitem.errors import ConfigurationError


def bootstrap_interval(
    values_CM: Tensor, generator: torch.Generator, *, resamples: int = 1000, confidence: float = 0.95
) -> Tensor:
    """Percentile bootstrap interval of each column's mean over cases, shape (M, 2) float64.

    All columns share their resamples, so intervals of several metrics belong together. Efron & Tibshirani (1993),
    chapter 13. Raises ConfigurationError without cases.
    """
    cases = len(values_CM)
    if cases == 0:
        raise ConfigurationError("an interval needs at least one case, got 0")
    values_CM = values_CM.double()
    means = [
        torch.bincount(torch.randint(cases, (cases,), generator=generator), minlength=cases).double() @ values_CM
        for _ in range(resamples)
    ]
    tail = (1 - confidence) / 2
    return torch.quantile(torch.stack(means) / cases, torch.tensor([tail, 1 - tail], dtype=torch.float64), dim=0).T
