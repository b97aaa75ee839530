"""Softmax over the whole catalogue (BERT4Rec's loss, and SASRec+'s). T target positions, e width, N items.

A batch's T×N logits are never held: rows go through in blocks, and the gradients are taken from each block's
probabilities while they exist, so that no logit is computed twice (three matrix products in all).
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable

from nextitem.batches import Drawn
from nextitem.configuration import Configuration
from nextitem.items import ItemTable


class CrossEntropy(Configuration):
    """−log softmax over all N items at the target, summed over positions."""

    name: Literal["cross_entropy"] = "cross_entropy"
    needs_negatives: ClassVar[bool] = False
    """Whether the loss compares the target with drawn items."""
    block_rows: int = Field(512, ge=1)
    """Positions whose N logits exist at a time; memory is block_rows · N · 4 bytes."""
    tile_items: int = Field(1024, ge=1)
    """Items per matrix product; small enough for a tile of logits to stay in a cache."""

    def build(self) -> "CrossEntropyLoss":
        """The loss with an empty scratch buffer."""
        return CrossEntropyLoss(self.block_rows, self.tile_items)


class CrossEntropyLoss:
    """Full softmax cross-entropy with exact gradients; keeps one scratch buffer between steps."""

    def __init__(self, block_rows: int = 512, tile_items: int = 1024) -> None:
        self.block_rows = block_rows
        self.tile_items = tile_items
        self._scratch = torch.empty(0)

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · (log Σ_j exp(s_j) − s_target), a scalar.

        Gradients of gradients are not available.
        """
        # Inside an autograd function gradients are always disabled, so whether they are wanted is asked out here.
        wants_gradients = torch.is_grad_enabled()
        inputs = (self, states_Te, items.output_table(), targets_T, weights_T, wants_gradients)
        loss: Tensor = _Softmax.apply(*inputs)  # type: ignore[no-untyped-call]
        return loss

    def tiles(self, like: Tensor, rows: int, number_of_items: int, *, keep_all: bool) -> list[Tensor]:
        """Views of the scratch buffer, one (rows, tile) matrix per tile; all the same memory unless `keep_all`."""
        widths = [min(self.tile_items, number_of_items - i) for i in range(0, number_of_items, self.tile_items)]
        needed = rows * (number_of_items if keep_all else widths[0])
        if self._scratch.numel() < needed or self._scratch.dtype != like.dtype or self._scratch.device != like.device:
            # Fresh memory costs a page fault per 4 KiB, more than the exponentials written into it.
            self._scratch = like.new_empty(needed)
        if not keep_all:
            return [self._scratch[: rows * width].view(rows, width) for width in widths]
        parts = self._scratch[:needed].split([rows * width for width in widths])
        return [part.view(rows, width) for part, width in zip(parts, widths, strict=True)]


class _Softmax(torch.autograd.Function):
    """Loss and, if wanted, both gradients in one sweep; the backward pass only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        loss: CrossEntropyLoss,
        states_Te: Tensor,
        table_Ne: Tensor,
        targets_T: Tensor,
        weights_T: Tensor | None,
        wants_gradients: bool,
    ) -> Tensor:
        weights_T = torch.ones_like(states_Te[:, 0]) if weights_T is None else weights_T
        gradient_Te = torch.zeros_like(states_Te) if wants_gradients else None
        gradient_Ne = torch.zeros_like(table_Ne) if wants_gradients else None
        log_sums = []
        for start in range(0, len(states_Te), loss.block_rows):
            rows = slice(start, start + loss.block_rows)
            states_Re = states_Te[rows]
            tiles = loss.tiles(states_Re, len(states_Re), len(table_Ne), keep_all=wants_gradients)
            maxima_PR, log_sums_R = _exponentials(states_Re, table_Ne, tiles)
            log_sums.append(log_sums_R)
            if gradient_Te is not None and gradient_Ne is not None:
                factors_PR = torch.exp(maxima_PR - log_sums_R) * weights_T[rows]
                _add_gradients(tiles, factors_PR, states_Re, table_Ne, gradient_Te[rows], gradient_Ne)
        vectors_Te = table_Ne.index_select(0, targets_T)
        if gradient_Te is not None and gradient_Ne is not None:
            gradient_Te.addcmul_(vectors_Te, weights_T[:, None], value=-1)
            gradient_Ne.index_add_(0, targets_T, states_Te * weights_T[:, None], alpha=-1)
        ctx.save_for_backward(gradient_Te, gradient_Ne)
        target_scores_T = (states_Te * vectors_Te).sum(1)
        log_sums_T = torch.cat(log_sums) if log_sums else target_scores_T
        return ((log_sums_T - target_scores_T) * weights_T).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor, Tensor, None, None, None]:
        gradient_Te, gradient_Ne = ctx.saved_tensors
        return None, gradient_Te * outer[0], gradient_Ne * outer[0], None, None, None


def _exponentials(states_Re: Tensor, table_Ne: Tensor, tiles: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Fill each tile with exp(score − its row maximum); return the maxima (tiles, R) and log Σ exp(score) (R,)."""
    maxima, sums, start = [], [], 0
    for tile in tiles:
        stop = start + tile.shape[1]
        torch.mm(states_Re, table_Ne[start:stop].T, out=tile)
        maximum_R = tile.amax(1)
        maxima.append(maximum_R)
        sums.append(tile.sub_(maximum_R[:, None]).exp_().sum(1))
        start = stop
    maxima_PR = torch.stack(maxima)
    return maxima_PR, torch.logsumexp(maxima_PR + torch.stack(sums).log(), 0)


def _add_gradients(
    tiles: list[Tensor],
    factors_PR: Tensor,
    states_Re: Tensor,
    table_Ne: Tensor,
    gradient_Re: Tensor,
    gradient_Ne: Tensor,
) -> None:
    """Add probabilities · table and probabilitiesᵀ · states; a factor per row turns a tile into probabilities."""
    start = 0
    for tile, factor_R in zip(tiles, factors_PR, strict=True):
        stop = start + tile.shape[1]
        gradient_Re.addcmul_(torch.mm(tile, table_Ne[start:stop]), factor_R[:, None])
        gradient_Ne[start:stop].addmm_(tile.T, states_Re * factor_R[:, None])
        start = stop
