"""Softmax over the target and K drawn items (SASRec+ N). T target positions, e width, N items, n rows of a block.

Where one set of candidates serves many positions, the set's scores are computed a block at a time and the gradients
taken while they exist: at 3,000 negatives the scores of a batch would be hundreds of megabytes, several times over.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nextitem.compute import transfer
from nextitem.errors import ConfigurationError
from nextitem.model.batches import FLOAT_BYTES, Drawn, StepShapes
from nextitem.model.items.table import ItemTable, PairTable
from nextitem.model.losses.compared import compared, negatives_of, total
from nextitem.model.losses.loss import LossConfiguration

_BLOCK_ROWS = 512
_BLOCK_ELEMENTS = 1 << 28  # on a GPU: 1 GB of float32
_LOG2_E = math.log2(math.e)
_MOST_Q = 1 - 2**-20  # of a target; where nothing else can be drawn, nothing counts

LogQ = Literal["off", "classical", "revised"]


class SampledCrossEntropy(LossConfiguration):
    """−log softmax at the target over the target and the drawn negatives, summed over positions."""

    name: Literal["sampled_cross_entropy"] = "sampled_cross_entropy"
    needs_negatives: ClassVar[bool] = True
    log_q: LogQ = "off"
    """Correction for how likely each item is to be drawn. `classical`: scores of negatives, and of a target that can be
    drawn, less the logarithm of how often the item is expected in the set; `revised` (2025): those of negatives alone,
    given that they are not the target."""

    def build(self) -> "SampledCrossEntropyLoss":
        """The loss; it keeps no state."""
        return SampledCrossEntropyLoss(self.log_q)

    def bytes(self, shapes: StepShapes) -> int:
        """What a step takes at its peak: of a shared set, the scores of one block of positions."""
        if shapes.sharing is None or shapes.sharing == "position":
            return super().bytes(shapes)
        rows = _BLOCK_ROWS if shapes.sharing == "batch" else shapes.longest
        return shapes.states_bytes + 3 * shapes.count * (rows + shapes.width) * FLOAT_BYTES


class SampledCrossEntropyLoss:
    """Sampled softmax; an id that equals the target does not count. Without correction it is that of SASRec+ N.

    With a correction b_k the score of negative k is s_k − b_k, that of the target s⁺ − a. Here K is how many ids were
    drawn, K⁻ how many of them are not the target, and q the probabilities that come with them:

    - `classical` (Bengio & Senécal 2008; Yi et al. 2019): b_k = log(K·q_k) and a = log(K·q⁺), or 0 where the target
      cannot be drawn;
    - `revised` (Khrylchenko et al. 2025, arXiv 2507.09331): the target is always there, so a = 0, and b_k =
      log(K⁻·q_k / (1 − q⁺)). The gradient is theirs, −(1 − P⁺)·∇[s⁺ − log Σ_k exp(s_k − b_k)] with P⁺ the target's
      share of the softmax; the value is that of the softmax, −log P⁺.

    >>> from nextitem.model.items.tied import TiedItems
    >>> q, target_q = torch.tensor([0.5, 0.5]), torch.tensor([0.25])
    >>> drawn = Drawn(torch.tensor([1, 1]), "batch", torch.tensor([0]), log_q=q.log(), target_log_q_T=target_q.log())
    >>> step = torch.zeros(1, 1), torch.tensor([0]), TiedItems(3, 1), drawn  # all scores are 0
    >>> print(f"{SampledCrossEntropyLoss('off')(*step):.4f}")  # log 3
    1.0986
    >>> print(f"{SampledCrossEntropyLoss('classical')(*step):.4f}")  # a = log 1/2, b = log 1: log((2 + 1 + 1) / 2)
    0.6931
    >>> print(f"{SampledCrossEntropyLoss('revised')(*step):.4f}")  # b = log(2 · 1/2 / (3/4)): log(1 + 3/4 + 3/4)
    0.9163
    """

    def __init__(self, log_q: LogQ = "off") -> None:
        self.log_q = log_q

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
        drawn = self._corrected(negatives_of("sampled_cross_entropy", drawn), states_Te.dtype)
        if drawn.sharing == "position" or isinstance(items, PairTable):
            positive_T, scores_TK, is_out_TK = compared(states_Te, targets_T, items, drawn)
            if drawn.log_q is not None and drawn.target_log_q_T is not None:
                columns = targets_T[:, None], drawn.target_log_q_T[:, None]
                of_sets = drawn.rows_T if drawn.sharing == "sequence" else slice(None)
                ids, log_q = drawn.ids[of_sets], drawn.log_q[of_sets]  # (K,) where the batch shares them
                scores_TK = scores_TK - _shift(self.log_q, ids, log_q, *columns)
            scores_TK = scores_TK.masked_fill(is_out_TK, -torch.inf)
            losses_T = torch.cat([positive_T[:, None], scores_TK], 1).logsumexp(1) - positive_T
            return total(losses_T, weights_T)
        wants_gradients = torch.is_grad_enabled()
        inputs = (self.log_q, states_Te, items.output_table(), targets_T, weights_T, drawn, wants_gradients)
        loss: Tensor = _SharedSoftmax.apply(*inputs)  # type: ignore[no-untyped-call]
        return loss

    def _corrected(self, drawn: Drawn, dtype: torch.dtype) -> Drawn:
        """The negatives with their probabilities where these are corrected for, and without them otherwise."""
        if self.log_q == "off":
            return replace(drawn, log_q=None, target_log_q_T=None)
        if drawn.log_q is None or drawn.target_log_q_T is None:
            raise ConfigurationError(
                f"loss.log_q={self.log_q} needs negatives that say how likely they were; set loss.log_q=off"
            )
        return replace(drawn, log_q=drawn.log_q.to(dtype), target_log_q_T=drawn.target_log_q_T.to(dtype))


def _shift(kind: LogQ, ids: Tensor, log_q: Tensor, targets_n1: Tensor, target_log_q_n1: Tensor) -> Tensor:
    """What the scores of negatives lose, shape (n, K); `ids` and `log_q` are (n, K) or (1, K).

    The target loses nothing: a softmax does not feel what all of its scores lose, so where the target has to lose a,
    negatives lose b_k − a.
    """
    is_drawn, dtype = log_q > -torch.inf, log_q.dtype
    if kind == "classical":
        counts_n1 = is_drawn.sum(-1, keepdim=True, dtype=dtype).clamp_(min=1)
        offset_n1 = torch.where(target_log_q_n1 > -torch.inf, -target_log_q_n1, counts_n1.log())
    else:
        counts_n1 = (is_drawn & (ids != targets_n1)).sum(-1, keepdim=True, dtype=dtype).clamp_(min=1)
        offset_n1 = counts_n1.log() - torch.log1p(-target_log_q_n1.exp().clamp(max=_MOST_Q))
    return log_q.masked_fill(~is_drawn, 0.0) + offset_n1


class _SharedSoftmax(torch.autograd.Function):
    """Loss and, if wanted, both gradients in one sweep over blocks of positions that share their candidates."""

    @staticmethod
    def forward(
        ctx: Any,
        log_q: LogQ,
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
        for rows, own, is_out_nK, padding in _blocks(drawn, targets_T, states_Te.device):
            ids_K = drawn.ids[own]
            # index_select, not table_Ne[…]: the same rows, many times faster on the CPU.
            vectors_Ke = table_Ne.index_select(0, ids_K.flatten()).view(*ids_K.shape, -1)
            vectors_ne = padding.lay(table_Ne.index_select(0, targets_T[rows]))
            states_ne = padding.lay(states_Te[rows])
            positive_n = (states_ne * vectors_ne).sum(-1)
            # Powers of two are three times as fast as those of e on the CPU: scores carry the factor log₂ e.
            scores_nK = (states_ne * _LOG2_E) @ vectors_Ke.mT
            if drawn.log_q is not None and drawn.target_log_q_T is not None:
                columns = (padding.lay(each_T[rows])[..., None] for each_T in (targets_T, drawn.target_log_q_T))
                shift_nK = _shift(log_q, ids_K.unsqueeze(-2), drawn.log_q[own].unsqueeze(-2), *columns)
                scores_nK.sub_(shift_nK, alpha=_LOG2_E)
            scores_nK.masked_fill_(is_out_nK, -torch.inf)
            maximum_n = torch.maximum(scores_nK.amax(-1), positive_n * _LOG2_E)
            scores_nK.sub_(maximum_n[..., None]).exp2_()
            negative_n = scores_nK.sum(-1)
            total_n = negative_n + torch.exp2(positive_n * _LOG2_E - maximum_n)
            # Rounding can make of a loss near 0 one below it.
            losses_T[rows] = padding.take((maximum_n + total_n.log2()) / _LOG2_E - positive_n).clamp_(min=0)
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
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor, Tensor, None, None, None, None]:
        gradient_Te, gradient_Ne = ctx.saved_tensors
        return None, gradient_Te * outer[0], gradient_Ne * outer[0], None, None, None, None


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
) -> Iterator[tuple[slice, slice | int, Tensor, _Flat | _Padded]]:
    """(positions, their set of ids, where a candidate does not count, how positions are laid out), in order.

    Ids are (K,) and what does not count (n, K); on a GPU rows with ids of their own are (G, K) and (G, P, K).
    """
    if drawn.sharing == "sequence" and transfer.is_asynchronous(device):
        yield from _padded_blocks(drawn, targets_T)
        return
    if drawn.sharing == "batch":
        block_rows = _BLOCK_ROWS
        if transfer.is_asynchronous(device):
            block_rows = max(block_rows, _BLOCK_ELEMENTS // max(1, len(drawn.ids)))
        spans: list[tuple[int, int | None]] = [(start, None) for start in range(0, len(targets_T), block_rows)]
        stops = [min(start + block_rows, len(targets_T)) for start, _ in spans]
    else:
        stops = drawn.counts_B.cumsum(0).tolist()
        spans = list(zip([0, *stops[:-1]], range(len(stops)), strict=True))
    for (start, row), stop in zip(spans, stops, strict=True):
        positions = slice(start, stop)
        ids_K = drawn.ids if row is None else drawn.ids[row]
        is_out_nK = drawn.is_out_of(ids_K, targets_T[positions, None], drawn.rows_T[positions] if row is None else row)
        if stop > start:
            yield positions, slice(None) if row is None else row, is_out_nK, _Flat()


def _padded_blocks(drawn: Drawn, targets_T: Tensor) -> Iterator[tuple[slice, slice, Tensor, _Padded]]:
    counts_B = drawn.counts_B
    longest = int(counts_B.max())
    edges = [0, *counts_B.cumsum(0).tolist()]
    height = max(1, _BLOCK_ELEMENTS // max(1, longest * drawn.ids.shape[1]))
    for first in range(0, len(counts_B), height):
        rows = slice(first, min(first + height, len(counts_B)))
        positions = slice(edges[rows.start], edges[rows.stop])
        if positions.stop > positions.start:
            padding = _Padded(drawn.rows_T[positions], rows, longest)
            targets_GP1 = padding.lay(targets_T[positions])[..., None]
            is_out_GPK = drawn.is_out_of(drawn.ids[rows, None], targets_GP1, (rows, None))
            yield positions, rows, is_out_GPK, padding
