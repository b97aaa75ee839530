"""Is this the next item or not: one logistic loss for the target and one per negative (SASRec's loss)."""

from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import softplus

from nextitem.batches import Drawn
from nextitem.configuration import Configuration
from nextitem.errors import ConfigurationError
from nextitem.items import ItemTable, target_and_drawn_scores


class BinaryCrossEntropy(Configuration):
    """−log σ(s⁺) − Σ_k log(1 − σ(s_k)) over any number of negatives, summed over positions."""

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    needs_negatives: ClassVar[bool] = True
    """Whether the loss compares the target with drawn items."""

    def build(self) -> "BinaryCrossEntropyLoss":
        """The loss; it keeps no state."""
        return BinaryCrossEntropyLoss()


class BinaryCrossEntropyLoss:
    """Binary cross-entropy of Kang & McAuley (2018), equation 6; negatives that are excluded do not count.

    The reference implementation averages over positions and columns, which with one negative is half of ours.
    """

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · (softplus(−s⁺) + Σ_k softplus(s_k)), a scalar."""
        if drawn is None:
            raise ConfigurationError("binary_cross_entropy needs negatives; set e.g. negatives=uniform")
        positive_T, scores_TK = target_and_drawn_scores(states_Te, targets_T, items, drawn)
        negative_T = softplus(scores_TK).masked_fill(drawn.is_out(targets_T), 0.0).sum(1)
        losses_T = softplus(-positive_T) + negative_T
        return losses_T.sum() if weights_T is None else (losses_T * weights_T).sum()
