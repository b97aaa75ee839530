"""Is this the next item or not: one logistic loss for the target and one per negative (SASRec's loss)."""

from typing import ClassVar, Literal

from torch import Tensor

from nextitem.model.batches import Drawn
from nextitem.model.items.table import ItemTable
from nextitem.model.losses.compared import logistic, negatives_of, total
from nextitem.model.losses.loss import LossConfiguration


class BinaryCrossEntropy(LossConfiguration):
    """−log σ(s⁺) − Σ_k log(1 − σ(s_k)) over any number of negatives, summed over positions."""

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    needs_negatives: ClassVar[bool] = True
    prior_bias: bool = False
    """Whether −log K is added to every score; without, learning begins late where negatives are many."""

    def build(self) -> "BinaryCrossEntropyLoss":
        """The loss; it keeps no state."""
        return BinaryCrossEntropyLoss(prior_bias=self.prior_bias)


class BinaryCrossEntropyLoss:
    """Binary cross-entropy of Kang & McAuley (2018), equation 6; negatives that are excluded do not count.

    The reference implementation averages over positions and columns, which with one negative is half of ours.
    """

    def __init__(self, *, prior_bias: bool = False) -> None:
        self.prior_bias = prior_bias

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · (softplus(−s⁺) + Σ_k softplus(s_k)), a scalar."""
        drawn = negatives_of("binary_cross_entropy", drawn)
        return total(logistic(states_Te, targets_T, items, drawn, prior_bias=self.prior_bias), weights_T)
