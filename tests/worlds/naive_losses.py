"""Losses as a naive reader of their papers would compute them: position by position, candidate by candidate."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from nextitem.model.batches import Drawn
from nextitem.model.losses import BPR, GBCE, BinaryCrossEntropy, BPRMax, CrossEntropy, SampledCrossEntropy, TOP1Max


@dataclass
class Seen:
    """One position as a loss sees it."""

    scores_N: Tensor
    target: int
    ids_K: Tensor
    places: list[int]  # of the ids that count
    log_q_K: Tensor
    target_log_q: Tensor

    @property
    def positive(self) -> Tensor:
        return self.scores_N[self.target]

    @property
    def negatives(self) -> Tensor:
        return self.scores_N[self.ids_K[self.places]]


def of_position(drawn: Drawn, values: Tensor, position: int) -> Tensor:
    """What belongs to a position, of ids or of what has their shape."""
    row = int(drawn.rows_T[position])
    return {"position": lambda: values[position], "sequence": lambda: values[row], "batch": lambda: values}[
        drawn.sharing
    ]()


def counting(drawn: Drawn, position: int, target: int) -> list[int]:
    """The places of a set that count at a position, by the words of `Drawn`."""
    ids_K = of_position(drawn, drawn.ids, position)
    excluded_K = torch.zeros(len(ids_K), dtype=torch.bool)
    if drawn.excluded is not None:
        excluded_K = drawn.excluded[position if drawn.sharing == "position" else int(drawn.rows_T[position])]
    return (~excluded_K & (ids_K != target)).nonzero()[:, 0].tolist()


def counted(drawn: Drawn, position: int, target: int) -> list[int]:
    """The drawn ids that count at a position."""
    return of_position(drawn, drawn.ids, position)[counting(drawn, position, target)].tolist()


def naive_softmax(loss: SampledCrossEntropy, seen: Seen) -> Tensor:
    """By the words of the loss: scores less how often each item is to be expected, as it corrects for that."""
    corrections = torch.zeros(1 + len(seen.places), dtype=torch.float64)
    if loss.log_q != "off":
        q_K, target_q = seen.log_q_K.double().exp(), seen.target_log_q.double().exp()
        is_drawn_K = q_K > 0
        if loss.log_q == "classical":
            corrections[1:] = (q_K[seen.places] * is_drawn_K.sum()).log()
            corrections[0] = (target_q * is_drawn_K.sum()).log() if target_q > 0 else 0.0
        else:
            others = (is_drawn_K & (seen.ids_K != seen.target)).sum()
            corrections[1:] = (others * q_K[seen.places] / (1 - target_q)).log()
    return -(torch.cat([seen.positive[None], seen.negatives]) - corrections).log_softmax(0)[0]


def naive_bpr_max(loss: BPRMax, seen: Seen) -> Tensor:
    shares, negatives = seen.negatives.softmax(0), seen.negatives
    if not len(negatives):
        return 0 * seen.positive
    return -(shares * (seen.positive - negatives).sigmoid()).sum().log() + loss.regularisation * shares @ negatives**2


def naive_gbce(loss: GBCE, seen: Seen) -> Tensor:
    alpha = min(1, len(seen.ids_K) / (len(seen.scores_N) - 1))
    beta = alpha * (loss.t * (1 - 1 / alpha) + 1 / alpha)
    bias = math.log(beta / len(seen.ids_K)) if loss.prior_bias else 0.0
    positive, negatives = seen.positive + bias, seen.negatives + bias
    return -(positive.sigmoid() ** beta).log() - (1 - negatives.sigmoid()).log().sum()


def naive_binary_cross_entropy(loss: BinaryCrossEntropy, seen: Seen) -> Tensor:
    bias = math.log(1 / len(seen.ids_K)) if loss.prior_bias else 0.0
    return -logsigmoid(seen.positive + bias) - logsigmoid(-(seen.negatives + bias)).sum()


# How a naive reader would judge one position.
NAIVE: dict[type, Callable[[Any, Seen], Tensor]] = {
    CrossEntropy: lambda _, seen: -seen.scores_N.log_softmax(0)[seen.target],
    SampledCrossEntropy: naive_softmax,
    BinaryCrossEntropy: naive_binary_cross_entropy,
    GBCE: naive_gbce,
    BPR: lambda _, seen: -logsigmoid(seen.positive - seen.negatives).sum() / max(1, len(seen.negatives)),
    BPRMax: naive_bpr_max,
    TOP1Max: lambda _, seen: (
        seen.negatives.softmax(0) @ ((seen.negatives - seen.positive).sigmoid() + (seen.negatives**2).sigmoid())
    ),
}


def naive(
    loss: Any, states_Te: Tensor, targets_T: Tensor, weight_Ne: Tensor, drawn: Drawn, weights_T: Tensor | None = None
) -> Tensor:
    """The loss position by position, candidate by candidate; torch finds the gradients."""
    total = torch.zeros((), dtype=states_Te.dtype)
    assert drawn.log_q is not None
    assert drawn.target_log_q_T is not None
    for position, target in enumerate(targets_T.tolist()):
        ids_K, log_q_K = (of_position(drawn, values, position) for values in (drawn.ids, drawn.log_q))
        places = counting(drawn, position, target)
        scores_N = weight_Ne @ states_Te[position]
        value = NAIVE[type(loss)](loss, Seen(scores_N, target, ids_K, places, log_q_K, drawn.target_log_q_T[position]))
        total = total + (value if weights_T is None else value * weights_T[position])
    return total
