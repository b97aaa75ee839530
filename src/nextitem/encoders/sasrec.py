"""SASRec: causal self-attention over the history (Kang & McAuley, ICDM 2018), as Klenitskiy & Vasilev run it.

B rows, L length, M columns that are read, d width, h heads.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from nextitem.configuration import Configuration
from nextitem.dropout import Dropout
from nextitem.fused import mix

NormPlacement = Literal["query", "pre"]
PositionDirection = Literal["from_oldest", "from_newest"]


class SASRec(Configuration):
    """Settings of SASRec; the defaults are those of Klenitskiy & Vasilev (RecSys 2023)."""

    name: Literal["sasrec"] = "sasrec"
    is_causal: ClassVar[bool] = True
    """Whether a state depends on its own past only, as next-item training needs."""
    dim: int = Field(64, ge=1)
    """Width d of item vectors and states."""
    blocks: int = Field(2, ge=1)
    """Number of attention blocks."""
    heads: int = Field(1, ge=1)
    """Attention heads; must divide dim."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """Probability of dropping a value, in embeddings, attention weights and feed-forward layers."""
    positions: int = Field(200, ge=1)
    """Rows of the position table; the maximum length must not exceed it."""
    norm_placement: NormPlacement = "query"
    """`query`: only the query is normalised and the residual starts from it (both papers' code); `pre`: pre-norm."""
    attention_output_projection: bool = True
    """Whether attention ends in a d×d projection; the 2018 code has none."""
    position_direction: PositionDirection = "from_oldest"
    """Positions counted from the oldest item of the window (2023), or back from its newest (2018, left-padded)."""

    @field_validator("heads")
    @classmethod
    def _divides_dim(cls, heads: int, others: ValidationInfo) -> int:
        dim = others.data.get("dim", heads)  # absent where dim itself was refused
        if dim % heads:
            raise ValueError(f"should divide dim={dim}, since each head takes an equal share of the width")
        return heads

    def build(self) -> "SASRecEncoder":
        """The encoder with fresh weights from torch's global generator."""
        return SASRecEncoder(**self.model_dump(exclude={"name"}))


class SASRecEncoder(nn.Module):
    """Causal transformer with the reference implementation's layer order.

    Each block: q = LN(x); x = q + attention(q, x, x); x = LN(x); x = x + FFN(x), where FFN is linear, dropout, ReLU,
    linear, dropout. A last LN follows. Rows are right-padded and attention is causal, so no real position ever sees a
    padded one; the states at padded positions are meaningless and never read.
    """

    def __init__(
        self,
        dim: int,
        blocks: int,
        heads: int,
        dropout: float,
        positions: int,
        norm_placement: NormPlacement,
        attention_output_projection: bool,
        position_direction: PositionDirection,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.position_direction = position_direction
        self.positions_Ld = nn.Parameter(torch.empty(positions, dim).normal_(0.0, 0.02))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            _Block(dim, heads, dropout, norm_placement, attention_output_projection) for _ in range(blocks)
        )
        self.last_norm = nn.LayerNorm(dim, eps=1e-8)

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_BM: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (B, M, d) at the columns `read_BM`; each depends on its position and those before it."""
        length = embeddings_BLd.shape[1]
        x_BLd = self.dropout(embeddings_BLd * self.dim**0.5 + self._positions(length, lengths_B))
        causal_LL = embeddings_BLd.new_full((length, length), -torch.inf).triu_(1)
        for number, block in enumerate(self.blocks, start=1):
            x_BLd = block(x_BLd, causal_LL, read_BM if number == len(self.blocks) else None)
        states_BLd: Tensor = self.last_norm(x_BLd)
        return states_BLd

    def _positions(self, length: int, lengths_B: Tensor) -> Tensor:
        if self.position_direction == "from_oldest":
            return self.positions_Ld[:length]
        table = len(self.positions_Ld)
        columns_L = torch.arange(length, device=lengths_B.device)
        return self.positions_Ld[(table - lengths_B[:, None] + columns_L).clamp_(max=table - 1)]


class _Block(nn.Module):
    """Self-attention and a position-wise feed-forward layer."""

    def __init__(
        self, dim: int, heads: int, dropout: float, norm_placement: NormPlacement, has_output_projection: bool
    ) -> None:
        super().__init__()
        self.norm_placement = norm_placement
        self.attention_norm = nn.LayerNorm(dim, eps=1e-8)
        self.attention = _CausalAttention(dim, heads, dropout, has_output_projection)
        self.forward_norm = nn.LayerNorm(dim, eps=1e-8)
        self.inner = _linear(dim)
        self.outer = _linear(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BLd: Tensor, causal_LL: Tensor, read_BM: Tensor | None) -> Tensor:
        from_BMd, is_pre = x_BLd, self.norm_placement == "pre"
        mask = causal_LL
        if read_BM is not None:
            from_BMd = x_BLd.take_along_dim(read_BM[:, :, None], 1)
            mask = causal_LL[read_BM][:, None]
        normed_BMd = self.attention_norm(from_BMd)
        seen_BLd = self.attention_norm(x_BLd) if is_pre else x_BLd
        mixed_BMd = self.attention(normed_BMd, seen_BLd, mask)
        if is_pre:
            from_BMd = from_BMd + mixed_BMd
            forward_BMd: Tensor = self.forward_norm(from_BMd)
        else:
            from_BMd = forward_BMd = self.forward_norm(normed_BMd + mixed_BMd)
        states_BMd: Tensor = from_BMd + self._feed_forward(forward_BMd)
        return states_BMd

    def _feed_forward(self, x_BLd: Tensor) -> Tensor:
        inner_BLd = self.dropout(self.inner(x_BLd)).relu()
        outer_BLd: Tensor = self.dropout(self.outer(inner_BLd))
        return outer_BLd


class _CausalAttention(nn.Module):
    """Scaled dot-product attention with dropout on its weights.

    The stacked 3d×d input projection starts Xavier-uniform as one matrix, as torch's MultiheadAttention does it.
    """

    def __init__(self, dim: int, heads: int, dropout: float, has_output_projection: bool) -> None:
        super().__init__()
        self.heads = heads
        self.probability = dropout
        self.in_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * dim, dim)))
        self.in_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out = _linear(dim) if has_output_projection else nn.Identity()

    def forward(self, query_BMd: Tensor, x_BLd: Tensor, mask: Tensor) -> Tensor:
        rows, _, dim = x_BLd.shape
        q_BMd = nn.functional.linear(query_BMd, self.in_weight[:dim], self.in_bias[:dim])
        kv_BLe = nn.functional.linear(x_BLd, self.in_weight[dim:], self.in_bias[dim:])
        q, k, v = (
            part.view(rows, -1, self.heads, dim // self.heads).transpose(1, 2)
            for part in (q_BMd, kv_BLe[..., :dim], kv_BLe[..., dim:])
        )
        mixed_BhMw = mix(q, k, v, mask, self.probability if self.training else 0.0, is_causal=mask.ndim == 2)
        mixed_BMd: Tensor = self.out(mixed_BhMw.transpose(1, 2).reshape(rows, -1, dim))
        return mixed_BMd


def _linear(dim: int) -> nn.Linear:
    layer = nn.Linear(dim, dim)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    nn.init.zeros_(layer.bias)
    return layer
