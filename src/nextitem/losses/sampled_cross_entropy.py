"""Softmax over the target and K drawn items (SASRec+ N). T target positions, e width, N items, n rows of a block.

Where one set of candidates serves many positions, the set's scores are computed a block at a time and the gradients
taken while they exist: at 3,000 negatives the scores of a batch would be hundreds of megabytes, several times over.
"""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nextitem import transfer
from nextitem.batches import Drawn
from nextitem.configuration import Configuration
from nextitem.errors import ConfigurationError
from nextitem.items import ItemTable, target_and_drawn_scores

_BLOCK_ROWS = 512
_BLOCK_ELEMENTS = 1 << 28  # on a GPU: 1 GB of float32
_LOG2_E = math.log2(math.e)


class SampledCrossEntropy(Configuration):
    """−log softmax at the target over the target and the drawn negatives, summed over positions."""

    name: Literal["sampled_cross_entropy"] = "sampled_cross_entropy"
    needs_negatives: ClassVar[bool] = True
    """Whether the loss compares the target with drawn items."""

    def build(self) -> "SampledCrossEntropyLoss":
        """The loss; it keeps no state."""
        return SampledCrossEntropyLoss()


class SampledCrossEntropyLoss:
    """Sampled softmax without correction, as SASRec+ N uses it; an id that equals the target does not count."""

    def __call__(
        self,
        states_Te: Tensor,
        targets_T: Tensor,
        items: ItemTable,
        drawn: Drawn | None = None,
        weights_T: Tensor | None = None,
    ) -> Tensor:
        """Sum over positions of weight · (log(exp(s⁺) + Σ_k exp(s_k)) − s⁺), a scalar.

        With negatives shared by a sequence or the batch, gradients of gradients are not available.
        """
        if drawn is None:
            raise ConfigurationError("sampled_cross_entropy needs negatives; set e.g. negatives=uniform")
        if drawn.sharing == "position":
            positive_T, scores_TK = target_and_drawn_scores(states_Te, targets_T, items, drawn)
            scores_TK = scores_TK.masked_fill(drawn.is_out(targets_T), -torch.inf)
            losses_T = torch.cat([positive_T[:, None], scores_TK], 1).logsumexp(1) - positive_T
            return losses_T.sum() if weights_T is None else (losses_T * weights_T).sum()
        wants_gradients = torch.is_grad_enabled()
        inputs = (states_Te, items.output_table(), targets_T, weights_T, drawn, wants_gradients)
        loss: Tensor = _SharedSoftmax.apply(*inputs)  # type: ignore[no-untyped-call]
        return loss


class _SharedSoftmax(torch.autograd.Function):
    """Loss and, if wanted, both gradients in one sweep over blocks of positions that share their candidates."""

    @staticmethod
    def forward(
        ctx: Any,
        states_Te: Tensor,
        table_Ne: Tensor,
        targets_T: Tensor,
        weights_T: Tensor | None,
        drawn: Drawn,
        wants_gradients: bool,
    ) -> Tensor:
        weights_T = torch.ones_like(states_Te[:, 0]) if weights_T is None else weights_T
        gradient_Te = torch.zeros_like(states_Te) if wants_gradients else None
        gradient_Ne = torch.zeros_like(table_Ne) if wants_gradients else None
        losses_T = torch.empty_like(states_Te[:, 0])
        for rows, ids_K, is_out_nK, padding in _blocks(drawn, targets_T, states_Te.device):
            # index_select, not table_Ne[…]: the same rows, many times faster on the CPU.
            vectors_Ke = table_Ne.index_select(0, ids_K.flatten()).view(*ids_K.shape, -1)
            vectors_ne = padding.lay(table_Ne.index_select(0, targets_T[rows]))
            states_ne = padding.lay(states_Te[rows])
            positive_n = (states_ne * vectors_ne).sum(-1)
            # Powers of two are three times as fast as those of e on the CPU: scores carry the factor log₂ e.
            scores_nK = ((states_ne * _LOG2_E) @ vectors_Ke.mT).masked_fill_(is_out_nK, -torch.inf)
            maximum_n = torch.maximum(scores_nK.amax(-1), positive_n * _LOG2_E)
            scores_nK.sub_(maximum_n[..., None]).exp2_()
            negative_n = scores_nK.sum(-1)
            total_n = negative_n + torch.exp2(positive_n * _LOG2_E - maximum_n)
            losses_T[rows] = padding.take((maximum_n + total_n.log2()) / _LOG2_E - positive_n)
            if gradient_Te is not None and gradient_Ne is not None:
                factor_n1 = (padding.lay(weights_T[rows], is_weight=True) / total_n)[..., None]
                # d loss / d s⁺ = p⁺ − 1, written as −Σ p of the negatives: exact where p⁺ rounds to 1.
                pull_n1 = -negative_n[..., None] * factor_n1
                gradient_Te[rows] = padding.take((scores_nK @ vectors_Ke) * factor_n1 + pull_n1 * vectors_ne)
                table_Ke = scores_nK.mT @ (states_ne * factor_n1)
                gradient_Ne.index_add_(0, ids_K.flatten(), table_Ke.view(-1, table_Ke.shape[-1]))
                gradient_Ne.index_add_(0, targets_T[rows], padding.take(pull_n1 * states_ne))
        ctx.save_for_backward(gradient_Te, gradient_Ne)
        return (losses_T * weights_T).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        gradient_Te, gradient_Ne = ctx.saved_tensors
        return gradient_Te * outer[0], gradient_Ne * outer[0], None, None, None, None


class _Flat:
    """Positions of a block as they are, n of them."""

    def lay(self, values_n: Tensor, *, is_weight: bool = False) -> Tensor:
        return values_n

    def take(self, values_n: Tensor) -> Tensor:
        return values_n


class _Padded:
    """Positions of a block as (G, P): G rows of a batch, P positions in the longest of them.

    A GPU multiplies all rows at once. Places beyond a row's end repeat another position, and weigh nothing.
    """

    def __init__(self, rows_n: Tensor, rows: slice, longest: int) -> None:
        rows_G = torch.arange(rows.start, rows.stop, device=rows_n.device)
        starts_G = torch.searchsorted(rows_n, rows_G)
        counts_G = torch.searchsorted(rows_n, rows_G, right=True) - starts_G
        ranks_P = torch.arange(longest, device=rows_n.device)
        self.places_GP = (starts_G[:, None] + ranks_P).clamp_(max=len(rows_n) - 1)
        self.is_real_GP = ranks_P < counts_G[:, None]
        own_n = rows_n - rows.start
        self.taken_n = own_n * longest + torch.arange(len(rows_n), device=rows_n.device) - starts_G[own_n]

    def lay(self, values_n: Tensor, *, is_weight: bool = False) -> Tensor:
        laid_GP = values_n[self.places_GP]
        return laid_GP * self.is_real_GP if is_weight else laid_GP

    def take(self, values_GP: Tensor) -> Tensor:
        return values_GP.flatten(0, 1).index_select(0, self.taken_n)


def _blocks(
    drawn: Drawn, targets_T: Tensor, device: torch.device
) -> Iterator[tuple[slice, Tensor, Tensor, _Flat | _Padded]]:
    """(positions, their candidate ids, where a candidate does not count, how positions are laid out), in order.

    Ids are (K,) and what does not count (n, K); on a GPU rows with ids of their own are (G, K) and (G, P, K).
    """
    if drawn.sharing == "sequence" and transfer.is_elsewhere(device):
        yield from _padded_blocks(drawn, targets_T)
        return
    if drawn.sharing == "batch":
        block_rows = _BLOCK_ROWS
        if transfer.is_elsewhere(device):
            block_rows = max(block_rows, _BLOCK_ELEMENTS // max(1, len(drawn.ids)))
        spans: list[tuple[int, int | None]] = [(start, None) for start in range(0, len(targets_T), block_rows)]
        stops = [min(start + block_rows, len(targets_T)) for start, _ in spans]
    else:
        stops = drawn.counts_B.cumsum(0).tolist()
        spans = list(zip([0, *stops[:-1]], range(len(stops)), strict=True))
    for (start, row), stop in zip(spans, stops, strict=True):
        positions = slice(start, stop)
        ids_K = drawn.ids if row is None else drawn.ids[row]
        is_out_nK = ids_K == targets_T[positions, None]
        if drawn.excluded is not None:
            is_out_nK = is_out_nK | drawn.excluded[drawn.rows_T[positions] if row is None else row]
        if stop > start:
            yield positions, ids_K, is_out_nK, _Flat()


def _padded_blocks(drawn: Drawn, targets_T: Tensor) -> Iterator[tuple[slice, Tensor, Tensor, _Padded]]:
    counts_B = drawn.counts_B
    longest = int(counts_B.max())
    edges = [0, *counts_B.cumsum(0).tolist()]
    height = max(1, _BLOCK_ELEMENTS // max(1, longest * drawn.ids.shape[1]))
    for first in range(0, len(counts_B), height):
        rows = slice(first, min(first + height, len(counts_B)))
        positions = slice(edges[rows.start], edges[rows.stop])
        if positions.stop > positions.start:
            padding = _Padded(drawn.rows_T[positions], rows, longest)
            is_out_GPK = drawn.ids[rows, None] == padding.lay(targets_T[positions])[..., None]
            if drawn.excluded is not None:
                is_out_GPK = is_out_GPK | drawn.excluded[rows, None]
            yield positions, drawn.ids[rows], is_out_GPK, padding
