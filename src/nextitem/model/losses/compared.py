"""A target beside the items drawn for it: what all losses with negatives begin with, and end with.

T target positions, e width, K negatives.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from nextitem.errors import ConfigurationError
from nextitem.model.batches import Drawn
from nextitem.model.items.table import ItemTable


def negatives_of(loss: str, drawn: Drawn | None, *, such_as: str = "uniform") -> Drawn:
    """What was drawn for the loss of this name. Raises ConfigurationError where nothing was."""
    if drawn is None:
        raise ConfigurationError(f"{loss} needs negatives; set e.g. negatives={such_as}")
    return drawn


def compared(states_Te: Tensor, targets_T: Tensor, items: ItemTable, drawn: Drawn) -> tuple[Tensor, Tensor, Tensor]:
    """(scores of the targets (T,), scores of the negatives (T, K), where a negative does not count (T, K)).

    A negative that equals the target does not count, nor does one that is excluded.
    """
    positive_T, scores_TK = target_and_drawn_scores(states_Te, targets_T, items, drawn)
    return positive_T, scores_TK, drawn.is_out(targets_T)


def logistic(
    states_Te: Tensor, targets_T: Tensor, items: ItemTable, drawn: Drawn, power: float = 1.0, *, prior_bias: bool
) -> Tensor:
    """Of each position power · softplus(−s⁺) + Σ_k softplus(s_k), shape (T,).

    `prior_bias` adds to every score s the value at which a target and K negatives pull equally hard, log(power / K), as
    Lin et al. (ICCV 2017, section 4.1) let a classifier of rare cases start. No order of items changes by it.
    """
    positive_T, scores_TK, is_out_TK = compared(states_Te, targets_T, items, drawn)
    if prior_bias:
        bias = math.log(power / max(1, drawn.ids.shape[-1]))
        positive_T, scores_TK = positive_T + bias, scores_TK + bias
    return power * softplus(-positive_T) + softplus(scores_TK).masked_fill(is_out_TK, 0.0).sum(1)


def total(losses_T: Tensor, weights_T: Tensor | None) -> Tensor:
    """Sum over positions of weight · loss, a scalar; None: all weigh 1."""
    return losses_T.sum() if weights_T is None else (losses_T * weights_T).sum()


def target_and_drawn_scores(
    states_Te: Tensor, targets_T: Tensor, items: ItemTable, drawn: Drawn
) -> tuple[Tensor, Tensor]:
    """Scores of the targets (T,) and of the drawn ids (T, K).

    Ids that are drawn per position are looked up together with the targets: every look-up fills a gradient of the
    whole table.
    """
    if drawn.sharing == "position":
        ids = torch.cat([targets_T[:, None], drawn.ids], 1)
        scores = items.candidate_scores(states_Te, ids, "position", drawn.rows_T)
        return scores[:, 0], scores[:, 1:]
    target_scores_T1 = items.candidate_scores(states_Te, targets_T[:, None], "position", drawn.rows_T)
    return target_scores_T1[:, 0], items.candidate_scores(states_Te, drawn.ids, drawn.sharing, drawn.rows_T)
