"""Simulated comparisons of two models, of which it is known whether they differ.

A world of 400 users and 1,000 items: the latent quality of an answer to a user is the user's own, a part of the model
and the user, the luck of a seed, and noise of them all, each normal; the rank of the target follows from it, and from
the rank three metrics. S seeds, U users, M metrics.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.evaluation.draws import bootstrap
from nextitem.evaluation.intervals import p_values
from nextitem.evaluation.values import values

USERS, ITEMS, RESAMPLES, LEVEL = 400, 1000, 400, 0.05
METRICS = ("ndcg@10", "mrr@10", "hit_rate@10")
SEEDS = ((1, 1), (2, 1), (3, 1), (5, 1), (2, 2), (3, 3), (5, 5), (10, 10))
SPREADS = {"none": 0.0, "small": 0.03, "large": 0.3}  # standard deviation of a seed's luck; that of users is 1
_MODEL_AND_USER, _NOISE, _MEAN = 0.5, 1.0, 0.8


@dataclass(frozen=True)
class Rates:
    """Share of comparisons that found a difference at the level of 5 %, by metric."""

    seeds: tuple[int, int]
    spread: str
    found: dict[str, float]


def model(draws: torch.Generator, users_U: Tensor, seeds: int, spread: float, gain: float = 0.0) -> Tensor:
    """Values of a model, (S, U, M), in the order of METRICS; about one target in eleven is among the first ten."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws, dtype=torch.float64)

    of_user_1U = users_U + _MODEL_AND_USER * normal(1, len(users_U))
    latent_SU = _MEAN + gain + of_user_1U + spread * normal(seeds, 1) + _NOISE * normal(seeds, len(users_U))
    above_SU = (ITEMS * torch.special.ndtr(-latent_SU / 1.2)).floor()
    found = values(above_SU.flatten(), torch.zeros(above_SU.numel()), METRICS, ITEMS)
    return torch.stack([value.view(above_SU.shape) for value in found.values()], 2)


def rates(seeds: tuple[int, int], spread: str, comparisons: int, gain: float = 0.0) -> Rates:
    """Of so many comparisons of a model with `gain` and one without; without a gain all that is found is false."""
    draws = torch.Generator().manual_seed(comparisons)
    found_M = torch.zeros(len(METRICS))
    for _ in range(comparisons):
        users_U = torch.randn(USERS, generator=draws, dtype=torch.float64)
        models = [model(draws, users_U, count, SPREADS[spread], by) for count, by in zip(seeds, (gain, 0), strict=True)]
        found_M += p_values(bootstrap(models, draws, pairs=[(0, 1)], resamples=RESAMPLES).differences[0]) <= LEVEL
    return Rates(seeds, spread, dict(zip(METRICS, (found_M / comparisons).tolist(), strict=True)))
