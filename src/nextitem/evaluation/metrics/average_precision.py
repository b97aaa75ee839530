"""How early the list holds what came. C cases."""

import torch
from torch import Tensor

from nextitem.evaluation.metrics.metric import expected_gain, share, total


def average_precision(above_C: Tensor, tied_C: Tensor, k: int, questions_C: Tensor | None = None) -> Tensor:
    """Expected average precision of each question, cut at rank k, shape (C,).

    The precision of the list up to each target that is among the first k, summed, over the number of all targets of the
    question (C. Buckley and E. Voorhees, Retrieval evaluation with incomplete information, SIGIR 2004; so trec_eval's
    `map_cut`; others divide by k where that is less).

    Of m targets that tie among g items, one stands at place j of these with probability 1 / g. Each of the others is
    before it with probability (j − 1) / (g − 1). With b targets above the tie, precision at its rank r = above + j is
    therefore (b + 1 + (j − 1)(m − 1) / (g − 1)) / r in expectation. That is a constant plus a constant over r.

    >>> average_precision(torch.tensor([1.0, 3.0]), torch.zeros(2), 10, torch.tensor([0, 0]))[0]  # (1/2 + 2/4) / 2
    tensor(0.5000, dtype=torch.float64)
    """
    above_C, tied_C = above_C.double(), tied_C.double()
    ones_C = torch.ones_like(above_C)
    before_C, equal_C = _neighbours(above_C, questions_C)
    # No more can tie than there are: equal scores of two rows may be told apart by rounding.
    slope_C = torch.where(tied_C > 0, (equal_C - 1).minimum(tied_C) / tied_C.clamp(min=1), 0.0)
    inverse_C = expected_gain(above_C, tied_C, 1 / torch.arange(1, k + 1, dtype=torch.float64))
    constant_C = expected_gain(above_C, tied_C, torch.ones(k, dtype=torch.float64))
    start_C = before_C + 1 - slope_C * (above_C.masked_fill(above_C == torch.inf, 0) + 1)
    found_C = start_C * inverse_C + slope_C * constant_C
    return share(total(found_C, questions_C), total(ones_C, questions_C))


def _neighbours(above_C: Tensor, questions_C: Tensor | None) -> tuple[Tensor, Tensor]:
    """(before_C, equal_C): how many targets of its question score higher than each, and how many the same, itself too.

    Targets of one question that have as many items above them have one score.
    """
    if questions_C is None:
        return torch.zeros_like(above_C), torch.ones_like(above_C)
    order_C = above_C.argsort(stable=True)
    order_C = order_C[questions_C[order_C].argsort(stable=True)]
    asked_C, sorted_C = questions_C[order_C], above_C[order_C]
    is_other_C = torch.ones(len(order_C), dtype=torch.bool)
    is_other_C[1:] = asked_C[1:] != asked_C[:-1]
    is_new_C = is_other_C.clone()
    is_new_C[1:] |= sorted_C[1:] != sorted_C[:-1]
    places = torch.arange(len(order_C), dtype=torch.float64)
    starts_C = places[is_other_C][is_other_C.cumsum(0) - 1]
    groups_C = is_new_C.cumsum(0) - 1
    before_C, equal_C = torch.empty_like(above_C), torch.empty_like(above_C)
    before_C[order_C] = places[is_new_C][groups_C] - starts_C
    equal_C[order_C] = torch.bincount(groups_C)[groups_C].double()
    return before_C, equal_C
