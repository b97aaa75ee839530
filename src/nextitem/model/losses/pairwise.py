"""Softmax over the whole catalogue where scores are no products. T target positions, R of a block, N items.

Blocks of positions meet all items. What is made of their pairs is made a second time for its gradient and never kept,
so a step holds one block. Time grows with T · N as that of products does, and a pair is dearer: for 2,048 positions and
3,416 items 0.23 s by `items=mixture` and 2.5 by its `gate=crossed`, where `tied` takes 0.04 (one thread of a processor
with AVX-512, its time alone). So it is for catalogues of a few thousand items; sampled losses are for larger ones.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from nextitem.model.batches import FLOAT_BYTES, StepShapes
from nextitem.model.items.table import PairTable

_BLOCK_BYTES = 1 << 25


def pairwise_cross_entropy(states_Te: Tensor, targets_T: Tensor, items: PairTable, weights_T: Tensor | None) -> Tensor:
    """Sum over positions of weight · (log Σ_j exp(s_j) − s_target), a scalar."""
    rows_Nf, rows = items.scored_rows(), _rows(items.number_of_items, items.pair_bytes)
    weights_T = torch.ones_like(states_Te[:, 0]) if weights_T is None else weights_T

    def block(states_Re: Tensor, targets_R: Tensor, weights_R: Tensor, rows_Nf: Tensor) -> Tensor:
        losses_R = cross_entropy(items.pair_scores(states_Re, rows_Nf), targets_R, reduction="none")
        return (losses_R * weights_R).sum()

    summed = states_Te.new_zeros(())
    for parts in zip(states_Te.split(rows), targets_T.split(rows), weights_T.split(rows), strict=True):
        summed = summed + checkpoint(block, *parts, rows_Nf, use_reentrant=False, preserve_rng_state=False)
    return summed


def pairwise_bytes(shapes: StepShapes) -> int:
    """What a step takes at its peak: what one block makes of its pairs, and rows of all items with two gradients."""
    rows = min(shapes.positions, _rows(shapes.number_of_items, shapes.pair_bytes))
    items = 3 * shapes.number_of_items * shapes.width * FLOAT_BYTES
    return shapes.states_bytes + items + rows * shapes.number_of_items * shapes.pair_bytes


def _rows(number_of_items: int, pair_bytes: int) -> int:
    return max(1, _BLOCK_BYTES // (number_of_items * pair_bytes))
