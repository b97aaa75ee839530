"""How much more popular what is listed is than what people had. Q lists, N items, R rows of means."""

from math import inf

import torch
from torch import Tensor

from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics.metric import AggregateMetric, Lists, Numbers


def _popularities(lists: Lists) -> Numbers:
    """In column 0 the mean popularity of each list, in column 1 that of its history; nothing where either is empty."""
    if lists.histories is None:
        raise ConfigurationError("popularity_bias compares lists with histories, and got lists alone")
    counts_N = lists.counts_N.double()
    is_item_Ck = lists.items_Ck >= 0
    sizes_C = is_item_Ck.sum(1)
    listed_C = (counts_N[lists.items_Ck.clamp(min=0)] * is_item_Ck).sum(1) / sizes_C.clamp(min=1)
    had_C, start = torch.zeros_like(listed_C), 0
    for part in lists.histories.parts():
        rows, items = part.flatten()
        had_C.index_add_(0, rows + start, counts_N[items])
        start += len(part)
    lengths_C = lists.histories.lengths_U
    both = ((sizes_C > 0) & (lengths_C > 0)).nonzero()[:, 0]
    columns_E = torch.arange(2).repeat_interleave(len(both))
    return Numbers(both.repeat(2), columns_E, torch.cat([listed_C[both], (had_C / lengths_C.clamp(min=1))[both]]), 2)


def _excess(means_RL: Tensor, columns: int) -> Tensor:
    if means_RL.shape[1] < columns:  # nobody has both a list and a history
        return torch.zeros(len(means_RL), dtype=torch.float64)
    return torch.where(means_RL[:, 1] > 0, means_RL[:, 0] / means_RL[:, 1].clamp(min=1e-300) - 1, 0.0)


popularity_bias = AggregateMetric(_popularities, _excess, least=-1, most=inf)
"""Mean popularity of what is listed over that of what the histories hold, less 1, shape (R,): 0 where lists are as
popular as histories, 1 where they are twice as popular, negative where they are less.

ΔGAP of H. Abdollahpouri et al., The unfairness of popularity bias in recommendation (RMSE workshop, RecSys 2019), of
all users as one group: a ratio of two means over users, each of the mean over a list or a history. An item's popularity
is its number of training events, theirs the share of users who have it. Histories count repeats; who has none, or no
list, is left out, and where nobody is left the value is 0.
"""
