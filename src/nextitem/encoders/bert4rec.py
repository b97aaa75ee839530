"""BERT4Rec: bidirectional self-attention over the history (Sun et al., CIKM 2019), as Klenitskiy & Vasilev run it.

B rows, L length, d width, h heads.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from nextitem.configuration import Configuration
from nextitem.dropout import Dropout, dropout


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
        self.output_dim = dim
        self.positions_Ld = nn.Parameter(torch.empty(positions, dim).normal_(0.0, 0.02))
        self.token_type_d = nn.Parameter(torch.empty(dim).normal_(0.0, 0.02))
        self.embedding_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(_Layer(dim, heads, inner, dropout) for _ in range(layers))

    def forward(self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None) -> Tensor:
        """States (B, L, d); each depends on every real position of its row and on no padded one."""
        length = embeddings_BLd.shape[1]
        x_BLd = embeddings_BLd + (self.positions_Ld[:length] + self.token_type_d)
        x_BLd = self.dropout(self.embedding_norm(x_BLd))
        is_pad_BL = torch.arange(length, device=lengths_B.device) >= lengths_B[:, None]
        # The lowest finite number, not −inf: a row without any real position must not become NaN.
        bias_BL = x_BLd.new_zeros(is_pad_BL.shape).masked_fill_(is_pad_BL, torch.finfo(x_BLd.dtype).min)
        for layer in self.layers:
            x_BLd = layer(x_BLd, bias_BL[:, None, None, :])
        return x_BLd


class _Layer(nn.Module):
    """Attention and feed-forward, each followed by dropout, the residual and a norm."""

    def __init__(self, dim: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.in_projection = _linear(dim, 3 * dim)
        self.out_projection = _linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps=1e-12)
        self.inner = _linear(dim, inner)
        self.outer = _linear(inner, dim)
        self.forward_norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = Dropout(dropout)

    def forward(self, x_BLd: Tensor, bias_B11L: Tensor) -> Tensor:
        x_BLd = self.attention_norm(x_BLd + self.dropout(self.out_projection(self._attend(x_BLd, bias_B11L))))
        inner_BLi = nn.functional.gelu(self.inner(x_BLd))
        normed_BLd: Tensor = self.forward_norm(x_BLd + self.dropout(self.outer(inner_BLi)))
        return normed_BLd

    def _attend(self, x_BLd: Tensor, bias_B11L: Tensor) -> Tensor:
        rows, length, dim = x_BLd.shape
        q, k, v = (
            part.view(rows, length, self.heads, dim // self.heads).transpose(1, 2)
            for part in self.in_projection(x_BLd).chunk(3, dim=-1)
        )
        scores_BhLL = (q * (dim // self.heads) ** -0.5) @ k.transpose(2, 3) + bias_B11L
        weights_BhLL = dropout(scores_BhLL.softmax(-1), self.dropout.probability, training=self.training)
        return (weights_BhLL @ v).transpose(1, 2).reshape(rows, length, dim)


def _linear(from_dim: int, to_dim: int) -> nn.Linear:
    layer = nn.Linear(from_dim, to_dim)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    nn.init.zeros_(layer.bias)
    return layer
