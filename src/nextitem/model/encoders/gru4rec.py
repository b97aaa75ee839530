"""GRU4Rec: a recurrent network over the history (Hidasi et al., ICLR 2016), as Klenitskiy & Vasilev run it.

B rows, L length, P real positions, T that are read, n rows that are as long as a time step, d width, h hidden width.
"""

from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from nextitem.compute import transfer
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.layers.dropout import Dropout


class GRU4Rec(Encoder):
    """Settings of GRU4Rec; the defaults are those of Klenitskiy & Vasilev (RecSys 2023)."""

    name: Literal["gru4rec"] = "gru4rec"
    is_causal: ClassVar[bool] = True
    takes_prefix: ClassVar[bool] = True
    hidden: int | None = Field(None, ge=1)
    """Width of what the network remembers; none: dim. Another width ends in a projection, for states to score items."""
    blocks: int = Field(1, ge=1, le=256)
    """Number of recurrent layers, one on the other."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Probability of dropping a value of what enters a layer."""

    def build(self, number_of_users: int = 0) -> "GRU4RecEncoder":
        """The encoder with fresh weights from torch's global generator."""
        return GRU4RecEncoder(self.dim, self.hidden or self.dim, self.blocks, self.dropout)


class GRU4RecEncoder(nn.Module):
    """Layers of gated recurrent units (Cho et al., EMNLP 2014) with torch's weights, gates and initialisation.

    There is no table of positions: a row may have any length.
    """

    def __init__(self, dim: int, hidden: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.GRU(hidden if number else dim, hidden, batch_first=True) for number in range(blocks)
        )
        self.dropout = Dropout(dropout)
        self.projection = nn.Identity() if hidden == dim else nn.Linear(hidden, dim, bias=False)

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (T, d) at the flat positions `read_T` of B·L; none depends on what comes after it."""
        encode = self._padded if transfer.is_asynchronous(lengths_B.device) else self._packed
        states_Fh = encode(embeddings_BLd, lengths_B)  # F = B·L
        if read_T is not None:
            states_Fh = states_Fh.index_select(0, read_T)
        states_Fd: Tensor = self.projection(states_Fh)
        return states_Fd if read_T is not None else states_Fd.view(*embeddings_BLd.shape)

    def _padded(self, x_BLd: Tensor, lengths_B: Tensor) -> Tensor:
        """All B·L states by torch's kernels, which need no lengths: what comes after a row's end changes nothing."""
        if not torch.compiler.is_exporting():
            # Left alone these kernels round to TF32, whatever other products do; the backward pass reads this as well.
            kernels: Any = torch.backends.cudnn.rnn
            kernels.fp32_precision = "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"
        # Under autocast they would round to float16, whatever type it was asked for.
        with torch.autocast(x_BLd.device.type, enabled=False):
            for layer in self.blocks:
                x_BLd, _ = layer(self.dropout(x_BLd))
        return x_BLd.flatten(0, 1)

    def _packed(self, x_BLd: Tensor, lengths_B: Tensor) -> Tensor:
        """States of real positions, the others 0, one time step after the other: the longest rows are always first."""
        order_B = lengths_B.argsort(descending=True, stable=True)
        is_real_LB = torch.arange(x_BLd.shape[1])[:, None] < lengths_B[order_B]
        times_P, rows_P = is_real_LB.nonzero(as_tuple=True)
        places_P = order_B[rows_P] * x_BLd.shape[1] + times_P
        x_P = x_BLd.flatten(0, 1).index_select(0, places_P)
        counts = is_real_LB.sum(1).tolist()
        for layer in self.blocks:
            x_P = _layer(self.dropout(x_P), counts, *layer.parameters())
        return x_P.new_zeros(is_real_LB.numel(), x_P.shape[1]).index_copy(0, places_P, x_P)


def _layer(
    x_P: Tensor, counts: list[int], input_weight: Tensor, weight: Tensor, input_bias: Tensor, bias: Tensor
) -> Tensor:
    """The states (P, h) where time step t has `counts[t]` rows; what does not wait for a state is one product."""
    width = weight.shape[1]
    gates_bias, new_bias = bias.split([2 * width, width])
    inputs_P3h = nn.functional.linear(x_P, input_weight, input_bias + nn.functional.pad(gates_bias, (0, width)))
    states_Ph: Tensor = _Recurrence.apply(inputs_P3h, weight, new_bias, counts)  # type: ignore[no-untyped-call]
    return states_Ph


class _Recurrence(torch.autograd.Function):
    """r, z = σ(inputs + W·before); new = tanh(input + r·(W·before + bias)); state = new + z·(before − new).

    Six operations a time step and five backwards. What has no order in time is done once for all P: torch's own
    packed network on the CPU does everything step by step and remembers every operation.
    """

    @staticmethod
    def forward(ctx: Any, inputs_P3h: Tensor, weight: Tensor, bias_h: Tensor, counts: list[int]) -> Tensor:
        total, width = len(inputs_P3h), weight.shape[1]
        gates_P2h = inputs_P3h.new_empty(total, 2 * width)
        recalled_Ph, new_Ph, states_Ph = (inputs_P3h.new_empty(total, width) for _ in range(3))
        gates_weight, new_weight = weight.T.split([2 * width, width], 1)
        before_nh = inputs_P3h.new_zeros(counts[0] if counts else 0, width)
        for part in _parts(counts):
            inputs_n3h = inputs_P3h[part]
            before_nh = before_nh[: len(inputs_n3h)]
            gates_n2h = torch.addmm(inputs_n3h[:, : 2 * width], before_nh, gates_weight, out=gates_P2h[part]).sigmoid_()
            recalled_nh = torch.addmm(bias_h, before_nh, new_weight, out=recalled_Ph[part])
            new_nh = torch.addcmul(inputs_n3h[:, 2 * width :], gates_n2h[:, :width], recalled_nh, out=new_Ph[part])
            before_nh = torch.lerp(new_nh.tanh_(), before_nh, gates_n2h[:, width:], out=states_Ph[part])
        ctx.save_for_backward(gates_P2h, recalled_Ph, new_Ph, states_Ph, weight)
        ctx.counts = counts
        return states_Ph

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradients_Ph: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        gates_P2h, recalled_Ph, new_Ph, states_Ph, weight = ctx.saved_tensors
        counts, width = ctx.counts, weight.shape[1]
        reset_Ph, keep_Ph = gates_P2h.chunk(2, 1)
        before_Ph = torch.zeros_like(states_Ph)
        for last, part in pairwise(_parts(counts)):
            before_Ph[part] = states_Ph[last][: part.stop - part.start]
        # What a gradient at a state is multiplied by to become that of the three products with the state before.
        to_new_Ph = (1 - keep_Ph) * (1 - new_Ph * new_Ph)
        to_reset_Ph = to_new_Ph * recalled_Ph * reset_Ph * (1 - reset_Ph)
        to_keep_Ph = (before_Ph - new_Ph) * keep_Ph * (1 - keep_Ph)
        products_P3h = torch.cat([to_reset_Ph, to_keep_Ph, to_new_Ph * reset_Ph], 1)
        gradients_Ph = gradients_Ph.clone()
        later_nh = gradients_Ph[:0]
        for part in reversed(_parts(counts)):
            gradients_nh, products_n3h = gradients_Ph[part], products_P3h[part]
            gradients_nh[: len(later_nh)] += later_nh
            products_n3h.view(-1, 3, width).mul_(gradients_nh[:, None])
            later_nh = torch.addmm(gradients_nh * keep_Ph[part], products_n3h, weight)
        inputs_P3h = torch.cat([products_P3h[:, : 2 * width], gradients_Ph * to_new_Ph], 1)
        return inputs_P3h, products_P3h.T @ before_Ph, products_P3h[:, 2 * width :].sum(0), None


def _parts(counts: list[int]) -> list[slice]:
    """Where each time step lies among the P."""
    stops = [0, *torch.tensor(counts, dtype=torch.int64).cumsum(0).tolist()]
    return [slice(start, stop) for start, stop in pairwise(stops)]
