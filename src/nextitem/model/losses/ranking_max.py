"""Does the target score higher than the negatives that matter (GRU4Rec+'s losses)? T positions, K negatives.

Of thousands of negatives most are far below the target and teach nothing. So each is weighted by the softmax over the
scores of the negatives that count, w_k, a differentiable stand-in for their maximum.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from nextitem.model.batches import Drawn
from nextitem.model.items.table import ItemTable
from nextitem.model.losses.compared import compared, negatives_of, total
from nextitem.model.losses.loss import LossConfiguration


class BPRMax(LossConfiguration):
    """−log Σ_k w_k σ(s⁺ − s_k) + λ Σ_k w_k s_k², summed over positions."""

    name: Literal["bpr_max"] = "bpr_max"
    needs_negatives: ClassVar[bool] = True
    regularisation: float = Field(1.0, ge=0.0)
    """λ: weight of the negatives' squared scores, which keeps scores near 0."""

    def build(self) -> "BPRMaxLoss":
        """The loss; it keeps no state."""
        return BPRMaxLoss(self.regularisation)

    def reason_against(self, set_size: int) -> str | None:
        """That one negative has no other to be weighed against."""
        return _alone(self.name, set_size)


class TOP1Max(LossConfiguration):
    """Σ_k w_k (σ(s_k − s⁺) + σ(s_k²)), summed over positions; the second term keeps scores near 0."""

    name: Literal["top1_max"] = "top1_max"
    needs_negatives: ClassVar[bool] = True

    def build(self) -> "TOP1MaxLoss":
        """The loss; it keeps no state."""
        return TOP1MaxLoss()

    def reason_against(self, set_size: int) -> str | None:
        """That one negative has no other to be weighed against."""
        return _alone(self.name, set_size)


def _alone(name: str, set_size: int) -> str | None:
    if set_size > 1:
        return None
    return (
        f"loss {name} weighs negatives against each other, and one alone (negatives.count=1) has nothing to be weighed "
        f"against; raise negatives.count, or use loss=bpr"
    )


class BPRMaxLoss:
    """BPR-max of Hidasi & Karatzoglou (CIKM 2018), on the scores as they are.

    The authors' code passes scores through an activation before; here there is none. A position without any negative
    that counts loses nothing.

    >>> from nextitem.model.items.tied import TiedItems
    >>> drawn = Drawn(torch.tensor([1, 2]), "batch", torch.tensor([0]))
    >>> items = TiedItems(3, 1).requires_grad_(False)
    >>> items.weight_Nd[:, 0] = torch.tensor([0.0, 1.0, 1.0])
    >>> value = BPRMaxLoss(0.5)(torch.ones(1, 1), torch.tensor([0]), items, drawn)
    >>> print(f"{value:.4f}")  # both weigh 1/2: −log σ(−1) + 0.5 · 1
    1.8133
    """

    def __init__(self, regularisation: float) -> None:
        self.regularisation = regularisation

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · (−log Σ_k w_k σ(s⁺ − s_k) + λ Σ_k w_k s_k²), a scalar."""
        drawn = negatives_of("bpr_max", drawn, such_as="mixed")
        positive_T, scores_TK, log_shares_TK, has_none_T = _weighted(states_Te, targets_T, items, drawn)
        losses_T = -(log_shares_TK + logsigmoid(positive_T[:, None] - scores_TK)).logsumexp(1)
        if self.regularisation:
            losses_T = losses_T + self.regularisation * (log_shares_TK.exp() * scores_TK.square()).sum(1)
        return total(losses_T.masked_fill(has_none_T, 0.0), weights_T)


class TOP1MaxLoss:
    """TOP1-max of Hidasi & Karatzoglou (CIKM 2018), on the scores as they are.

    >>> from nextitem.model.items.tied import TiedItems
    >>> drawn = Drawn(torch.tensor([1, 2]), "batch", torch.tensor([0]))
    >>> value = TOP1MaxLoss()(torch.zeros(1, 2), torch.tensor([0]), TiedItems(3, 2), drawn)
    >>> print(f"{value:.4f}")  # σ(0) + σ(0)
    1.0000
    """

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · Σ_k w_k (σ(s_k − s⁺) + σ(s_k²)), a scalar."""
        drawn = negatives_of("top1_max", drawn, such_as="mixed")
        positive_T, scores_TK, log_shares_TK, has_none_T = _weighted(states_Te, targets_T, items, drawn)
        above_TK = (scores_TK - positive_T[:, None]).sigmoid() + scores_TK.square().sigmoid()
        losses_T = (log_shares_TK.exp() * above_TK).sum(1)
        return total(losses_T.masked_fill(has_none_T, 0.0), weights_T)


def _weighted(
    states_Te: Tensor, targets_T: Tensor, items: ItemTable, drawn: Drawn
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(s⁺ (T,), s (T, K), log w (T, K), where no negative counts (T,)); log w is −∞ where one does not count."""
    positive_T, scores_TK, is_out_TK = compared(states_Te, targets_T, items, drawn)
    has_none_T = is_out_TK.all(1)
    # A softmax over nothing is NaN, and so is its gradient: such rows keep their scores, and are left out afterwards.
    log_shares_TK = scores_TK.masked_fill(is_out_TK & ~has_none_T[:, None], -torch.inf).log_softmax(1)
    return positive_T, scores_TK, log_shares_TK, has_none_T
