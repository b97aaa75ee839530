"""Softmax over the whole catalogue (BERT4Rec's loss, and SASRec+'s). T target positions, e width, N items.

A batch's T×N scores are never held: positions go through in blocks of R, items in tiles of I. A tile of exponentials is
laid out (I, R), items first: then all three matrix products read and write memory in the order it lies.
Exponentials are powers of two, which are three times as fast on the CPU: the states carry the factor log₂ e.
"""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable

from nextitem.compute import transfer
from nextitem.errors import ConfigurationError
from nextitem.model.batches import FLOAT_BYTES, Drawn, StepShapes
from nextitem.model.items.shard import Shard
from nextitem.model.items.table import ItemTable, PairTable
from nextitem.model.losses.blocks import ALIGNED, TILE_ITEMS, Block, Precision, aligned, is_bounded
from nextitem.model.losses.loss import LossConfiguration
from nextitem.model.losses.pairwise import pairwise_bytes, pairwise_cross_entropy
from nextitem.model.losses.vocabulary import vocabulary_parallel

_SCRATCH_BYTES, _SCRATCH_BYTES_ELSEWHERE = 1 << 28, 1 << 31
_MOST_ROWS = 768  # of a tile of 2048 items: 6 MB of float32, and the products no longer gain by more
_CPU = torch.device("cpu")


class CrossEntropy(LossConfiguration):
    """−log softmax over all N items at the target, summed over positions.

    Smoothed by ε it is the cross-entropy to (1 − ε) at the target and ε/N at every item, the target among them (Szegedy
    et al., CVPR 2016, section 7).
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    needs_negatives: ClassVar[bool] = False
    precision: Precision | Literal["auto"] = "float32"
    """Of the products over the catalogue and of the exponentials; all sums and both gradients are kept in float32.
    `auto`: what the plan of a training finds to be faster on its machine, which the run then has as its setting."""
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    """Share ε of the target's probability that is spread evenly over all items; in the validation loss as well."""
    block_rows: int | None = Field(None, ge=1)
    """Positions whose N exponentials exist at a time; none: at most 768, and fewer where they would exceed 256 MB; on a
    GPU as many as fit 2 GB."""
    tile_items: int | None = Field(None, ge=1)
    """Items per matrix product; none: 2,048, so that a tile of exponentials stays in a cache; on a GPU all."""

    def build(self) -> "CrossEntropyLoss":
        """The loss with an empty scratch buffer. Raises ConfigurationError for a precision that is still open."""
        if self.precision == "auto":
            raise ConfigurationError(
                "loss.precision=auto is settled by the plan of a training; train by `train`, or take the recipe of "
                "plan(…), or name float32 or bfloat16"
            )
        return CrossEntropyLoss(self.block_rows, self.tile_items, self.precision, self.label_smoothing)

    @property
    def can_be_taught(self) -> bool:
        """Unless targets are smoothed, which is a teacher of its own."""
        return not self.label_smoothing

    def bytes(self, shapes: StepShapes) -> int:
        """What a step takes at its peak: the exponentials of one block, and the table in their precision."""
        if shapes.pair_bytes:
            return pairwise_bytes(shapes)
        block, value = aligned(self.block_size(shapes)), self._value_bytes
        rounded = shapes.number_of_items * shapes.width * value if value < FLOAT_BYTES else 0
        return shapes.states_bytes + block * shapes.number_of_items * value + rounded

    def reason_against_pairs(self) -> str | None:
        """What is rounded are products."""
        if self.precision == "float32":
            return None
        said = f"loss.precision={self.precision} is of products with a table, and scores of these items are none"
        return f"{said}; set loss.precision=float32"

    def block_size(self, shapes: StepShapes) -> int:
        """Positions whose exponentials exist at a time."""
        blocks = CrossEntropyLoss(self.block_rows).blocks(
            max(1, shapes.positions), shapes.number_of_items, self._value_bytes
        )
        return int(next(blocks).stop)

    def smaller(self, shapes: StepShapes) -> Iterator[Self]:
        """With lower blocks; as it is, where a recipe says how many positions one has."""
        if self.block_rows is None:
            for lower in range(self.block_size(shapes) - ALIGNED, 0, -ALIGNED):
                yield self.model_copy(update={"block_rows": lower})

    def remedies(self) -> list[list[str]]:
        """Some of the catalogue in place of all of it."""
        return [["loss=sampled_cross_entropy", "negatives=uniform", "negatives.count=512", "negatives.sharing=batch"]]

    @property
    def versions(self) -> tuple[Self, ...]:
        """In float32 and in bfloat16."""
        return tuple(self.model_copy(update={"precision": precision}) for precision in get_args(Precision))

    @property
    def version(self) -> str:
        """Its precision."""
        return self.precision

    @property
    def _value_bytes(self) -> int:
        return 2 if self.precision == "bfloat16" else FLOAT_BYTES


class CrossEntropyLoss:
    """Full softmax cross-entropy with exact gradients; keeps one scratch buffer between steps."""

    def __init__(
        self,
        block_rows: int | None = None,
        tile_items: int | None = None,
        precision: Precision = "float32",
        label_smoothing: float = 0.0,
    ) -> None:
        self.block_rows = block_rows
        self.tile_items = tile_items
        self.precision = precision
        self.label_smoothing = label_smoothing
        self._scratch = torch.empty(0)

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · (log Σ_j exp(s_j) − (1 − ε) · s_target − ε/N · Σ_j s_j), a scalar.

        In bfloat16 a score is rounded to 8 bits, a relative 2⁻⁹; the target's own score is not. No position loses less
        than 0, which that rounding could make of a loss near it. Gradients of gradients are not available.
        """
        if isinstance(items, PairTable):
            return pairwise_cross_entropy(states_Te, targets_T, items, weights_T)
        # Inside an autograd function gradients are always disabled, so whether they are wanted is asked out here.
        wants_gradients = torch.is_grad_enabled()
        inputs = (self, states_Te, items.output_table(), targets_T, weights_T, wants_gradients)
        loss: Tensor = _Softmax.apply(*inputs)  # type: ignore[no-untyped-call]
        return loss

    def of_shards(self, states_te: Tensor, targets_t: Tensor, shard: Shard, weights_t: Tensor | None) -> Tensor:
        """The same of this process's own positions, of items that several processes have rows of each.

        Targets are numbers of the catalogue; all processes call it together. Its gradients are those of all positions.
        """
        return vocabulary_parallel(self, states_te, targets_t, shard, weights_t)

    def wanted(self, table_Ne: Tensor, targets_T: Tensor) -> Tensor:
        """The vector by which a state's score is to be high, shape (T, e): the target's, and a share of all others'.

        ε/N · Σ_j s_j is one product with the mean of all vectors, so that smoothing does not go through the scores.
        """
        targeted_Te = table_Ne.index_select(0, targets_T)
        if not self.label_smoothing:
            return targeted_Te
        return targeted_Te.mul_(1 - self.label_smoothing).add_(table_Ne.mean(0), alpha=self.label_smoothing)

    def add_wanted_gradient(self, gradient_Ne: Tensor, targets_T: Tensor, weighed_Te: Tensor) -> None:
        """Subtract from the table's gradient what `wanted` took of each row, times the weighed states."""
        gradient_Ne.index_add_(0, targets_T, weighed_Te, alpha=self.label_smoothing - 1)
        if self.label_smoothing:
            gradient_Ne.sub_(weighed_Te.sum(0), alpha=self.label_smoothing / len(gradient_Ne))

    def blocks(
        self, positions: int, number_of_items: int, element_bytes: int, device: torch.device = _CPU
    ) -> Iterator[slice]:
        """Slices of nearly equal, aligned length over the positions, each small enough for the scratch buffer."""
        if self.block_rows is None:
            is_asynchronous = transfer.is_asynchronous(device)
            scratch = _SCRATCH_BYTES_ELSEWHERE if is_asynchronous else _SCRATCH_BYTES
            fitting = scratch // (number_of_items * element_bytes) // ALIGNED * ALIGNED
            most = max(ALIGNED, fitting if is_asynchronous else min(_MOST_ROWS, fitting))
            rows = aligned(math.ceil(positions / math.ceil(positions / most))) if positions else most
        else:
            rows = self.block_rows
        return (slice(start, min(start + rows, positions)) for start in range(0, positions, rows))

    def tiles(self, like: Tensor, rows: int, tile_items: int, *, keep_all: bool) -> list[Tensor]:
        """Views of the scratch buffer, one (tile, rows) matrix per tile; all the same memory unless `keep_all`."""
        number_of_items = len(like)
        heights = [min(tile_items, number_of_items - i) for i in range(0, number_of_items, tile_items)]
        needed = rows * (number_of_items if keep_all else heights[0])
        if self._scratch.numel() < needed or self._scratch.dtype != like.dtype or self._scratch.device != like.device:
            # Fresh memory costs a page fault per 4 KiB, more than the exponentials written into it.
            self._scratch = like.new_empty(needed)
        if not keep_all:
            return [self._scratch[: rows * height].view(height, rows) for height in heights]
        parts = self._scratch[:needed].split([rows * height for height in heights])
        return [part.view(height, rows) for part, height in zip(parts, heights, strict=True)]


class _Softmax(torch.autograd.Function):
    """Loss and, if wanted, both gradients in two sweeps over the tiles; the backward pass only scales them."""

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
        wanted_Te = loss.wanted(table_Ne, targets_T)
        gradient_Te = torch.zeros_like(states_Te) if wants_gradients else None
        gradient_Ne = torch.zeros_like(table_Ne) if wants_gradients else None
        log_sums_T = torch.empty_like(weights_T)
        in_bfloat16 = loss.precision == "bfloat16"
        vectors_Ne = table_Ne.bfloat16() if in_bfloat16 else table_Ne
        bounded = in_bfloat16 and is_bounded(states_Te, table_Ne)
        tile_items = loss.tile_items or (len(table_Ne) if transfer.is_asynchronous(table_Ne.device) else TILE_ITEMS)
        for rows in loss.blocks(len(states_Te), len(table_Ne), vectors_Ne.element_size(), vectors_Ne.device):
            block = Block(states_Te[rows], weights_T[rows], bounded)
            tiles = loss.tiles(vectors_Ne, block.padded_rows, tile_items, keep_all=wants_gradients)
            for vectors_Ie, tile in zip(vectors_Ne.split(tile_items), tiles, strict=True):
                block.fill(tile, vectors_Ie, wants_pull=wants_gradients)
            log_sums_T[rows] = block.log_sums()
            if gradient_Te is not None and gradient_Ne is not None:
                gradient_Te[rows] = block.states_gradient()
                for number, part_Ie in enumerate(gradient_Ne.split(tile_items)):
                    block.add_table_gradient(part_Ie, tiles[number], number)
        if gradient_Te is not None and gradient_Ne is not None:
            gradient_Te.addcmul_(wanted_Te, weights_T[:, None], value=-1)
            loss.add_wanted_gradient(gradient_Ne, targets_T, states_Te * weights_T[:, None])
        ctx.save_for_backward(gradient_Te, gradient_Ne)
        return ((log_sums_T - (states_Te * wanted_Te).sum(1)).clamp_(min=0) * weights_T).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor, Tensor, None, None, None]:
        gradient_Te, gradient_Ne = ctx.saved_tensors
        return None, gradient_Te * outer[0], gradient_Ne * outer[0], None, None, None
