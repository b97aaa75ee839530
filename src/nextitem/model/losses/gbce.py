"""Binary cross-entropy that makes up for how few negatives are drawn (gSASRec's loss). T positions, K negatives."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from nextitem.model.batches import Drawn
from nextitem.model.items.table import ItemTable
from nextitem.model.losses.compared import logistic, negatives_of, total
from nextitem.model.losses.loss import LossConfiguration


class GBCE(LossConfiguration):
    """−β log σ(s⁺) − Σ_k log(1 − σ(s_k)), summed over positions; β follows from t and the number of negatives."""

    name: Literal["gbce"] = "gbce"
    needs_negatives: ClassVar[bool] = True
    t: float = Field(0.75, ge=0.0, le=1.0)
    """Calibration: 0 is binary cross-entropy; at 1 predicted probabilities are those of the full catalogue."""
    prior_bias: bool = False
    """Whether log(β/K) is added to every score; without, learning begins late where negatives are many."""

    def build(self) -> "GBCELoss":
        """The loss; it keeps no state."""
        return GBCELoss(self.t, prior_bias=self.prior_bias)


def beta(negatives: int, number_of_items: int, t: float) -> float:
    """The power β of the target's σ: α (t (1 − 1/α) + 1/α) = 1 − t (1 − α), where α = K / (N − 1), at most 1.

    >>> beta(negatives=1, number_of_items=5, t=0.75)  # α = 1/4: 1 − 3/4 · 3/4
    0.4375
    """
    return 1 - t * (1 - min(1.0, negatives / max(1, number_of_items - 1)))


class GBCELoss:
    """Generalised binary cross-entropy of Petrov & Macdonald (RecSys 2023).

    K is the number of negatives that are drawn, excluded ones too, and N that of the whole catalogue. The authors
    divide a position's loss by K + 1; here it is a sum, as in `binary_cross_entropy`.

    >>> import torch
    >>> from nextitem.model.items.tied import TiedItems
    >>> drawn = Drawn(torch.tensor([3]), "batch", torch.tensor([0]))
    >>> value = GBCELoss(0.75)(torch.zeros(1, 2), torch.tensor([0]), TiedItems(5, 2), drawn)
    >>> print(f"{value:.4f}")  # all scores are 0: (0.4375 + 1) log 2
    0.9964
    """

    def __init__(self, t: float, *, prior_bias: bool = False) -> None:
        self.t, self.prior_bias = t, prior_bias

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · (β softplus(−s⁺) + Σ_k softplus(s_k)), a scalar."""
        drawn = negatives_of("gbce", drawn)
        power = beta(drawn.ids.shape[-1], items.number_of_items, self.t)
        return total(logistic(states_Te, targets_T, items, drawn, power, prior_bias=self.prior_bias), weights_T)
