"""A loss that listens to a teacher as well (knowledge distillation). T target positions, M items, e width, N items."""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from nextitem.model.batches import Taught
from nextitem.model.items.table import ItemTable
from nextitem.model.losses.loss import Loss


def taught_loss(
    loss: Loss, states_Te: Tensor, targets_T: Tensor, items: ItemTable, weights_T: Tensor | None, taught: Taught
) -> Tensor:
    """Σ weight · ((1 − λ) · CE(z, target) + λ · τ² · CE(z/τ, p)) over T positions, a scalar.

    z are the scores of all N items, CE(z, target) is `loss`, a full softmax, and CE(z/τ, p) = log Σⱼ exp(zⱼ/τ) −
    Σₘ pₘ·zₘ/τ the cross-entropy to the teacher's probabilities p (Hinton, Vinyals & Dean, Distilling the Knowledge in a
    Neural Network, 2015, section 2: both objectives, the soft one times τ²). Deviation: p is of the teacher's M highest
    items alone, which sum to 1.

    Σₘ pₘ·zₘ is the product of a state with Σₘ pₘ·vectorₘ, so neither T × N scores nor T × M vectors are held; with
    τ = 1 both softmaxes are one. Raises ConfigurationError for items whose scores are no products.
    """
    table_Ne, temperature = items.output_table(), taught.temperature
    pulled_Te = embedding_bag(
        taught.items_TM, table_Ne, per_sample_weights=taught.shares_TM.to(table_Ne.dtype), mode="sum"
    )
    # `loss` is log Σ exp less the target's score, and what the teacher pulls at takes the target's place.
    instead_T = (states_Te * (table_Ne.index_select(0, targets_T) - pulled_Te)).sum(1)
    instead = (instead_T if weights_T is None else instead_T * weights_T).sum() / temperature
    hard = loss(states_Te, targets_T, items, None, weights_T)
    at_once = hard if temperature == 1.0 else loss(states_Te / temperature, targets_T, items, None, weights_T)
    return torch.lerp(hard, temperature**2 * (at_once + instead), taught.weight)
