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
from torch.nn.functional import pad

from nextitem.compute import transfer
from nextitem.errors import ConfigurationError
from nextitem.model.batches import FLOAT_BYTES, Drawn, StepShapes
from nextitem.model.items.table import ItemTable, PairTable
from nextitem.model.losses.loss import LossConfiguration
from nextitem.model.losses.pairwise import pairwise_bytes, pairwise_cross_entropy

Precision = Literal["float32", "bfloat16"]

_SCRATCH_BYTES, _SCRATCH_BYTES_ELSEWHERE = 1 << 28, 1 << 31
_MOST_ROWS = 768  # of a tile of 2048 items: 6 MB of float32, and the products no longer gain by more
_TILE_ITEMS = 2048
_CPU = torch.device("cpu")
_ALIGNED = 16  # rows of a tile that begin at odd places of memory cost the products a fifth


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

    def bytes(self, shapes: StepShapes) -> int:
        """What a step takes at its peak: the exponentials of one block, and the table in their precision."""
        if shapes.pair_bytes:
            return pairwise_bytes(shapes)
        block, value = _aligned(self.block_size(shapes)), self._value_bytes
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
            for lower in range(self.block_size(shapes) - _ALIGNED, 0, -_ALIGNED):
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
            fitting = scratch // (number_of_items * element_bytes) // _ALIGNED * _ALIGNED
            most = max(_ALIGNED, fitting if is_asynchronous else min(_MOST_ROWS, fitting))
            rows = _aligned(math.ceil(positions / math.ceil(positions / most))) if positions else most
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
        is_bounded = in_bfloat16 and _is_bounded(states_Te, table_Ne)
        tile_items = loss.tile_items or (len(table_Ne) if transfer.is_asynchronous(table_Ne.device) else _TILE_ITEMS)
        for rows in loss.blocks(len(states_Te), len(table_Ne), vectors_Ne.element_size(), vectors_Ne.device):
            block = _Block(states_Te[rows], weights_T[rows], is_bounded)
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


class _Block:
    """What a block of positions learns in the first sweep: Σ exp(score) and Σ exp(score) · vector.

    Both are kept relative to a running maximum per position, so that nothing overflows; it stays 0 where the scores
    are known to be small. R counts the block's positions and some of weight 0 that make the rows of a tile aligned.
    """

    def __init__(self, states_Be: Tensor, weights_B: Tensor, is_bounded: bool) -> None:
        self.positions, self.is_bounded = len(states_Be), is_bounded
        self.padded_rows = _aligned(self.positions)
        self.states_Re = pad(states_Be, (0, 0, 0, self.padded_rows - self.positions))
        self.weights_R = pad(weights_B, (0, self.padded_rows - self.positions))
        self.binary_eR = self.states_Re.T * math.log2(math.e)
        self.sums_R = torch.zeros_like(self.weights_R)
        self.pull_eR = torch.zeros_like(self.binary_eR)
        self.highest_R = torch.full_like(self.sums_R, 0.0 if is_bounded else -torch.inf)
        self._shifts: list[Tensor] = []

    def fill(self, tile: Tensor, vectors_Ie: Tensor, *, wants_pull: bool) -> None:
        """Fill `tile` with 2^(score · log₂ e − running maximum) and add it to the sums."""
        torch.mm(vectors_Ie, self.binary_eR.to(tile.dtype), out=tile)
        if not self.is_bounded:
            higher_R = torch.maximum(self.highest_R, tile.amax(0))
            fade_R = torch.exp2(self.highest_R - higher_R)
            self.sums_R *= fade_R
            self.pull_eR *= fade_R
            self.highest_R = higher_R
            tile.sub_(higher_R)
        tile.exp2_()
        self.sums_R += tile.sum(0, dtype=self.sums_R.dtype)
        if wants_pull:
            _add_product(self.pull_eR, vectors_Ie.T, tile)
            self._shifts.append(self.highest_R)

    def log_sums(self) -> Tensor:
        """Log Σ exp(score) of each position."""
        return ((self.sums_R.log2() + self.highest_R) * math.log(2))[: self.positions]

    def states_gradient(self) -> Tensor:
        """Weighted probabilities · table, a row for each position."""
        return (self.pull_eR * (self.weights_R / self.sums_R)).T[: self.positions]

    def add_table_gradient(self, gradient_Ie: Tensor, tile: Tensor, number: int) -> None:
        """Add weighted probabilitiesᵀ · states; one factor per position makes them of the tile's exponentials."""
        factors_R = torch.exp2(self._shifts[number] - self.highest_R) * (self.weights_R / self.sums_R)
        _add_product(gradient_Ie, tile, (self.states_Re * factors_R[:, None]).to(tile.dtype))


def _aligned(rows: int) -> int:
    return -(-rows // _ALIGNED) * _ALIGNED


def _is_bounded(states_Te: Tensor, table_Ne: Tensor) -> bool:
    """Whether no score can leave ±50 (Cauchy-Schwarz): e⁵⁰ times any catalogue is far from the end of the exponents."""
    if transfer.is_asynchronous(states_Te.device) or not len(states_Te):
        return False  # elsewhere the answer would have to be waited for, which costs more than the maxima
    return bool(states_Te.norm(dim=1).amax() * table_Ne.norm(dim=1).amax() < 50.0)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left · right; a product in bfloat16 is added in the precision of `total`."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
