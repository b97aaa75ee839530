"""Does the target score higher than each of the negatives (BPR)? T positions, K negatives."""

from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import softplus

from nextitem.model.batches import Drawn
from nextitem.model.items.table import ItemTable
from nextitem.model.losses.compared import compared, negatives_of, total
from nextitem.model.losses.loss import LossConfiguration


class BPR(LossConfiguration):
    """−log σ(s⁺ − s_k) as a mean over the negatives, summed over positions."""

    name: Literal["bpr"] = "bpr"
    needs_negatives: ClassVar[bool] = True

    def build(self) -> "BPRLoss":
        """The loss; it keeps no state."""
        return BPRLoss()


class BPRLoss:
    """Bayesian personalised ranking of Rendle et al. (UAI 2009), averaged over negatives as in GRU4Rec (2016).

    Only negatives that count are averaged; a position without any loses nothing.

    >>> import torch
    >>> from nextitem.model.items.tied import TiedItems
    >>> drawn = Drawn(torch.tensor([3, 4, 0]), "batch", torch.tensor([0]))  # 0 is the target itself
    >>> print(f"{BPRLoss()(torch.zeros(1, 2), torch.tensor([0]), TiedItems(5, 2), drawn):.4f}")  # (log 2 + log 2) / 2
    0.6931
    """

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · mean_k softplus(s_k − s⁺), a scalar."""
        drawn = negatives_of("bpr", drawn)
        positive_T, scores_TK, is_out_TK = compared(states_Te, targets_T, items, drawn)
        counts_T = (~is_out_TK).sum(1).clamp_(min=1)
        losses_T = softplus(scores_TK - positive_T[:, None]).masked_fill(is_out_TK, 0.0).sum(1) / counts_T
        return total(losses_T, weights_T)
