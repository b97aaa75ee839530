"""How unequally lists treat items. R rows of means, L listed items, N items."""

import torch
from torch import Tensor

from nextitem.evaluation.metrics.metric import AggregateMetric, listed


def _inequality(means_RL: Tensor, number_of_items: int) -> Tensor:
    """Σ (2 j − N − 1) p_j / N of the shares p_1 ≤ … ≤ p_N; items that are in no list are the first of them, with 0."""
    ascending_RL = means_RL.sort(dim=1).values
    places_L = torch.arange(number_of_items - means_RL.shape[1] + 1, number_of_items + 1, dtype=torch.float64)
    sums_R = ascending_RL.sum(1)
    found_R = ascending_RL @ (2 * places_L - number_of_items - 1) / number_of_items
    return torch.where(sums_R > 0, found_R / sums_R.clamp(min=1e-300), 0.0)


gini = AggregateMetric(listed, _inequality, least=0, most=1)
"""Gini coefficient of how often each item of the catalogue is listed, shape (R,): 0 where all are alike, 1 − 1 / N
where all lists show one item, 0 where no list shows any.

Of lists by D. Fleder and K. Hosanagar, Blockbuster culture's next rise or fall, Management Science 55 (2009). Items
that nobody is shown count.
"""
