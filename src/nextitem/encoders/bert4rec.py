"""BERT4Rec: bidirectional self-attention over the history (Sun et al., CIKM 2019), as Klenitskiy & Vasilev run it.

B rows, L length, M columns that are read, d width, h heads.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from nextitem.configuration import Configuration
from nextitem.dropout import Dropout
from nextitem.fused import mix


class BERT4Rec(Configuration):
    """Settings of BERT4Rec; the defaults are those of Klenitskiy & Vasilev (RecSys 2023)."""

    name: Literal["bert4rec"] = "bert4rec"
    is_causal: ClassVar[bool] = False
    """Whether a state depends on its own past only; here it sees the whole window."""
    dim: int = Field(64, ge=1)
    """Width d of item vectors and states."""
    layers: int = Field(2, ge=1)
    """Number of transformer layers."""
    heads: int = Field(2, ge=1)
    """Attention heads; must divide dim."""
    inner: int = Field(256, ge=1)
    """Width of the feed-forward layers."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """Probability of dropping a value, in embeddings, attention weights and layer outputs."""
    positions: int = Field(200, ge=1)
    """Rows of the position table; the maximum length must not exceed it."""

    @field_validator("heads")
    @classmethod
    def _divides_dim(cls, heads: int, others: ValidationInfo) -> int:
        dim = others.data.get("dim", heads)  # absent where dim itself was refused
        if dim % heads:
            raise ValueError(f"should divide dim={dim}, since each head takes an equal share of the width")
        return heads

    def build(self) -> "BERT4RecEncoder":
        """The encoder with fresh weights from torch's global generator."""
        return BERT4RecEncoder(**self.model_dump(exclude={"name"}))


class BERT4RecEncoder(nn.Module):
    """The BERT encoder: post-norm, GELU, learned positions from the oldest item, a constant token-type vector."""

    def __init__(self, dim: int, layers: int, heads: int, inner: int, dropout: float, positions: int) -> None:
        super().__init__()
        self.dim = dim
        self.positions_Ld = nn.Parameter(torch.empty(positions, dim).normal_(0.0, 0.02))
        self.token_type_d = nn.Parameter(torch.empty(dim).normal_(0.0, 0.02))
        self.embedding_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(_Layer(dim, heads, inner, dropout) for _ in range(layers))

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_BM: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (B, M, d) at the columns `read_BM`.

        Each depends on every real position of its row and on no padded one.
        """
        length = embeddings_BLd.shape[1]
        x_BLd: Tensor = embeddings_BLd + (self.positions_Ld[:length] + self.token_type_d)
        x_BLd = self.dropout(self.embedding_norm(x_BLd))
        is_pad_BL = torch.arange(length, device=lengths_B.device) >= lengths_B[:, None]
        # The lowest finite number, not −inf: a row without any real position must not become NaN.
        bias_BL = x_BLd.new_zeros(is_pad_BL.shape).masked_fill_(is_pad_BL, torch.finfo(x_BLd.dtype).min)
        for number, layer in enumerate(self.layers, start=1):
            x_BLd = layer(x_BLd, bias_BL[:, None, None, :], read_BM if number == len(self.layers) else None)
        return x_BLd


class _Layer(nn.Module):
    """Attention and feed-forward, each followed by dropout, the residual and a norm."""

    def __init__(self, dim: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (_linear(dim, dim) for _ in range(3))
        self.out_projection = _linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps=1e-12)
        self.inner = _linear(dim, inner)
        self.outer = _linear(inner, dim)
        self.forward_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)

    def forward(self, x_BLd: Tensor, bias_B11L: Tensor, read_BM: Tensor | None) -> Tensor:
        from_BMd = x_BLd if read_BM is None else x_BLd.take_along_dim(read_BM[:, :, None], 1)
        from_BMd = self.attention_norm(from_BMd + self.dropout(self._attend(from_BMd, x_BLd, bias_B11L)))
        inner_BMi = nn.functional.gelu(self.inner(from_BMd))
        normed_BMd: Tensor = self.forward_norm(from_BMd + self.dropout(self.outer(inner_BMi)))
        return normed_BMd

    def _attend(self, from_BMd: Tensor, x_BLd: Tensor, bias_B11L: Tensor) -> Tensor:
        rows, _, dim = x_BLd.shape
        q, k, v = (
            projection(x).view(rows, -1, self.heads, dim // self.heads).transpose(1, 2)
            for projection, x in ((self.query, from_BMd), (self.key, x_BLd), (self.value, x_BLd))
        )
        mixed_BhMw = mix(q, k, v, bias_B11L, self.dropout.probability if self.training else 0.0)
        mixed_BMd: Tensor = self.out_projection(mixed_BhMw.transpose(1, 2).reshape(rows, -1, dim))
        return mixed_BMd


def _linear(from_dim: int, to_dim: int) -> nn.Linear:
    layer = nn.Linear(from_dim, to_dim)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    nn.init.zeros_(layer.bias)
    return layer
