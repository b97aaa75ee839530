"""How far from what everybody knows the lists are. C cases, N items."""

import torch
from torch import Tensor

from nextitem.evaluation.metrics.metric import Lists


def novelty(lists: Lists) -> Tensor:
    """Mean self-information −log₂(share of the training events) of the items listed to each case, in bits, shape (C,).

    T. Zhou et al., Solving the apparent diversity-accuracy dilemma of recommender systems, PNAS 107 (2010). Their share
    is that of the users who have the item: where none has it twice, values here are log₂(events / users) larger.

    An item without a training event counts as one with a single event, the rarest that training can tell of. Where
    fewer than k items are left the mean is over those; where none is, the value is 0.

    >>> novelty(Lists(torch.tensor([[0, 1], [2, -1]]), torch.tensor([4, 2, 1, 1])))  # (1 + 2) / 2 bits, and 3 bits
    tensor([1.5000, 3.0000], dtype=torch.float64)
    """
    counts_N = lists.counts_N.double()
    bits_N = torch.log2(counts_N.sum().clamp(min=1) / counts_N.clamp(min=1))
    is_item_Ck = lists.items_Ck >= 0
    bits_Ck = bits_N[lists.items_Ck.clamp(min=0)] * is_item_Ck
    return bits_Ck.sum(1) / is_item_Ck.sum(1).clamp(min=1)
