"""The full softmax over a catalogue of which several processes have some rows each (Shoeybi et al., arXiv 1909.08053).

T target positions of all processes, t of this one, e width, N items, n of them here, P processes, R positions of a
block. Each process scores the states of all against its own items; what they tell each other is T·(2e + 3) numbers and
P sums of exponentials a position, and never a score.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nextitem.compute import transfer
from nextitem.compute.processes import Processes
from nextitem.model.items.shard import Shard
from nextitem.model.losses.blocks import TILE_ITEMS, Block, Precision


class Blocked(Protocol):
    """How a softmax goes through the scores."""

    precision: Precision
    tile_items: int | None
    label_smoothing: float

    def blocks(self, positions: int, number_of_items: int, element_bytes: int, device: torch.device) -> Iterator[slice]:
        """Slices of the positions, each small enough for the scratch buffer."""

    def tiles(self, like: Tensor, rows: int, tile_items: int, *, keep_all: bool) -> list[Tensor]:
        """Room for the exponentials, one (tile, rows) matrix per tile."""


def vocabulary_parallel(
    loss: Blocked, states_te: Tensor, targets_t: Tensor, shard: Shard, weights_t: Tensor | None
) -> Tensor:
    """Summed loss of this process's own positions, a scalar whose gradients are those of the loss of all positions.

    So the gradient of the rows here needs no sum over processes, and that of the encoder is as with a whole table.
    Targets are numbers of the catalogue. All processes call it together, also those without a position.
    """
    weights_t = torch.ones_like(states_te[:, 0]) if weights_t is None else weights_t
    inputs = (loss, states_te, shard.rows_nd, targets_t, weights_t, shard)
    summed: Tensor = _ShardedSoftmax.apply(*inputs)  # type: ignore[no-untyped-call]
    return summed


class _Positions:
    """Where the positions of this process are among those of all."""

    def __init__(self, count: int, processes: Processes, device: torch.device) -> None:
        self.processes = processes
        counts_P = torch.zeros(processes.size, dtype=torch.int64, device=device)
        counts_P[processes.rank] = count
        counts = processes.sum(counts_P).tolist()
        self.total = sum(counts)
        start = sum(counts[: processes.rank])
        self.own = slice(start, start + count)

    def of_all(self, values_t: Tensor) -> Tensor:
        """The values of all positions, of which each process has its own."""
        values_T = values_t.new_zeros(self.total, *values_t.shape[1:])
        values_T[self.own] = values_t
        return self.processes.sum(values_T)


class _ShardedSoftmax(torch.autograd.Function):
    """Loss and both gradients in two sweeps over the own tiles; the backward pass only scales them."""

    @staticmethod
    def forward(
        ctx: Any,
        loss: Blocked,
        states_te: Tensor,
        rows_ne: Tensor,
        targets_t: Tensor,
        weights_t: Tensor,
        shard: Shard,
    ) -> Tensor:
        positions = _Positions(len(states_te), shard.processes, states_te.device)
        states_Te, targets_T, weights_T = (positions.of_all(each) for each in (states_te, targets_t, weights_t))
        gradient_Te, gradient_ne = torch.zeros_like(states_Te), torch.zeros_like(rows_ne)
        log_sums_T = _swept(loss, (states_Te, rows_ne), weights_T, shard, (gradient_Te, gradient_ne))
        score_T = _wanted(
            loss.label_smoothing, (states_Te, rows_ne), (targets_T, weights_T), shard, (gradient_Te, gradient_ne)
        )
        summed_Te = shard.processes.sum(torch.cat([score_T[:, None], gradient_Te], 1))[positions.own]
        ctx.save_for_backward(summed_Te[:, 1:], gradient_ne)
        losses_t = (log_sums_T[positions.own] - summed_Te[:, 0]).clamp_(min=0)
        return (losses_t * weights_t).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor, Tensor, None, None, None]:
        gradient_te, gradient_ne = ctx.saved_tensors
        return None, gradient_te * outer[0], gradient_ne * outer[0], None, None, None


def _swept(
    loss: Blocked,
    matrices: tuple[Tensor, Tensor],
    weights_T: Tensor,
    shard: Shard,
    gradients: tuple[Tensor, Tensor],
) -> Tensor:
    """Log Σ exp(score) over the items of all processes, shape (T,); adds what the own items pull to both gradients."""
    (states_Te, rows_ne), (gradient_Te, gradient_ne) = matrices, gradients
    log_sums_T = torch.empty_like(weights_T)
    vectors_ne = rows_ne.bfloat16() if loss.precision == "bfloat16" else rows_ne
    tile_items = loss.tile_items or (len(rows_ne) if transfer.is_asynchronous(rows_ne.device) else TILE_ITEMS)
    # As if each had as many rows as whoever has the most: all go through the same blocks.
    for rows in loss.blocks(len(states_Te), shard.most, vectors_ne.element_size(), rows_ne.device):
        block = Block(states_Te[rows], weights_T[rows], is_bounded=False)
        tiles = loss.tiles(vectors_ne, block.padded_rows, tile_items, keep_all=True)
        for vectors_Ie, tile in zip(vectors_ne.split(tile_items), tiles, strict=True):
            block.fill(tile, vectors_Ie, wants_pull=True)
        block.join(shard.processes)
        log_sums_T[rows] = block.log_sums()
        gradient_Te[rows] = block.states_gradient()
        for number, part_Ie in enumerate(gradient_ne.split(tile_items)):
            block.add_table_gradient(part_Ie, tiles[number], number)
    return log_sums_T


def _wanted(
    smoothing: float,
    matrices: tuple[Tensor, Tensor],
    asked: tuple[Tensor, Tensor],
    shard: Shard,
    gradients: tuple[Tensor, Tensor],
) -> Tensor:
    """The part of (1 − ε) · s_target + ε/N · Σ_j s_j that the own items have, (T,); taken off both gradients."""
    (states_Te, rows_ne), (gradient_Te, gradient_ne), (targets_T, weights_T) = matrices, gradients, asked
    places, targets = shard.places(targets_T)
    wanted_Te = torch.zeros_like(states_Te).index_copy_(0, places, rows_ne.index_select(0, targets))
    weighed_Te = states_Te * weights_T[:, None]
    gradient_ne.index_add_(0, targets, weighed_Te.index_select(0, places), alpha=smoothing - 1)
    if smoothing:
        share = smoothing / shard.number_of_items
        wanted_Te.mul_(1 - smoothing).add_(rows_ne.sum(0), alpha=share)
        gradient_ne.sub_(weighed_Te.sum(0), alpha=share)
    gradient_Te.addcmul_(wanted_Te, weights_T[:, None], value=-1)
    return (states_Te * wanted_Te).sum(1)
