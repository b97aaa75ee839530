"""LiGR: a causal transformer whose blocks say by a gate how much they add (Borisyuk et al., 2025).

B rows, L length, P positions that are computed, Q of them that ask in a layer, T that are read, d width, i inner width.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.layers.attention import attend_to, attention_flops, heads_divide_dim
from nextitem.model.layers.dropout import Dropout
from nextitem.model.layers.packing import Queries, arrange
from nextitem.model.layers.positions import PositionDirection, places
from nextitem.model.layers.stack import stacked


class LiGR(Encoder):
    """Settings of LiGR; the defaults are those of eSASRec on ML-1M (Tikhonovich et al., RecSys 2025)."""

    name: Literal["ligr"] = "ligr"
    is_causal: ClassVar[bool] = True
    takes_prefix: ClassVar[bool] = True
    blocks: int = Field(2, ge=1, le=256)
    """Number of transformer blocks."""
    heads: int = Field(1, ge=1)
    """Attention heads; must divide dim."""
    inner: int | None = Field(None, ge=1)
    """Width of the feed-forward layers; none: four times dim."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """Probability of dropping a value, in embeddings, attention weights, feed-forward layers and what a block adds."""
    positions: int = Field(200, ge=1)
    """Rows of the position table; the maximum length must not exceed it."""
    position_direction: PositionDirection = "from_newest"
    """Positions counted from the oldest item of the window (2023), or back from its newest (2018, left-padded)."""
    scales_items: bool = False
    """Whether item vectors are multiplied by √dim before positions are added, as SASRec's are."""
    gates: bool = True
    """Whether what a block adds is multiplied by a gate; without, it is a pre-norm transformer with SwiGLU."""
    last_norm: bool = False
    """Whether states are normalised after the last block, as SASRec's are."""

    _heads_divide_dim = field_validator("heads")(heads_divide_dim)

    @property
    def counts_from_newest(self) -> bool:
        """As `position_direction` says."""
        return self.position_direction == "from_newest"

    @property
    def most_length(self) -> int:
        """Rows of the position table."""
        return self.positions

    def flops(self, length: int) -> int:
        """Of a position, forward and backward; attention is a product with every place of the window more."""
        return super().flops(length) + attention_flops(self.blocks, length, self.dim)

    def build(self, number_of_users: int = 0) -> "LiGREncoder":
        """The encoder with fresh weights from torch's global generator."""
        return LiGREncoder(**{**self.model_dump(exclude={"name"}), "inner": self.inner or 4 * self.dim})


class LiGREncoder(nn.Module):
    """Pre-norm blocks with gated residuals and SwiGLU, and learned positions.

    Each block, with s the sigmoid and ⊙ the product of each two numbers:

        x = x + s(W₁ x + b₁) ⊙ attention(LN(x))
        x = x + s(W₂ x + b₂) ⊙ W_o (silu(W_g LN(x)) ⊙ W_u LN(x))

    (Borisyuk et al., 2025, arXiv 2502.03417, as Tikhonovich et al., RecSys 2025, arXiv 2508.06450, have it in their
    code: gates see x before it is normalised, and the feed-forward layer of Shazeer, 2020, has no biases.) Matrices and
    positions start Xavier-normal as there. Biases of gates start at 0, where theirs are drawn: all gates are half open.
    """

    def __init__(
        self,
        dim: int,
        blocks: int,
        heads: int,
        inner: int,
        dropout: float,
        positions: int,
        position_direction: PositionDirection,
        scales_items: bool,
        gates: bool,
        last_norm: bool,
    ) -> None:
        super().__init__()
        self.position_direction: PositionDirection = position_direction
        self.scale = dim**0.5 if scales_items else 1.0
        self.positions_Ld = nn.Parameter(nn.init.xavier_normal_(torch.empty(positions, dim)))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(dim, heads, inner, dropout, gates) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(dim) if last_norm else nn.Identity()

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (T, d) at the flat positions `read_T` of B·L; none depends on what comes after it."""
        layout = arrange(lengths_B, embeddings_BLd.shape[1], is_causal=True)
        places_P = places(layout, len(self.positions_Ld), self.position_direction)
        items_Pd = layout.flat(embeddings_BLd)
        x_Pd = self.dropout(self.positions_Ld.index_select(0, places_P).add(items_Pd, alpha=self.scale))
        x_Qd, places_T = stacked(self.blocks, x_Pd, layout, read_T)
        states_Qd: Tensor = self.last_norm(x_Qd)
        return layout.rows(states_Qd) if places_T is None else states_Qd.index_select(0, places_T)


class _Block(nn.Module):
    """Gated self-attention and a gated SwiGLU layer."""

    def __init__(self, dim: int, heads: int, inner: int, dropout: float, gates: bool) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.forward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = _linear(dim, 3 * dim)  # query, key and value
        self.out = _linear(dim, dim)
        self.attention_gate, self.forward_gate = (_linear(dim, dim) if gates else None for _ in range(2))
        gate_and_up = [nn.init.xavier_normal_(torch.empty(inner, dim)) for _ in range(2)]
        self.gate_and_up_2id = nn.Parameter(torch.cat(gate_and_up))
        self.outer = _linear(inner, dim, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, x_Pd: Tensor, queries: Queries) -> Tensor:
        x_Qd = queries.of(x_Pd)
        x_Qd = _added(x_Qd, self.attention_gate, self.dropout(self._attend(self.attention_norm(x_Pd), queries)))
        return _added(x_Qd, self.forward_gate, self.dropout(self._feed_forward(self.forward_norm(x_Qd))))

    def _attend(self, x_Pd: Tensor, queries: Queries) -> Tensor:
        dim, weight, bias = x_Pd.shape[1], self.attention.weight, self.attention.bias
        q_Qd = linear(queries.of(x_Pd), weight[:dim], bias[:dim])
        keys_and_values, probability = (weight[dim:], bias[dim:]), self.dropout.probability
        mixed_Qd = attend_to(x_Pd, q_Qd, keys_and_values, queries, self.heads, probability, training=self.training)
        projected_Qd: Tensor = self.out(mixed_Qd)
        return projected_Qd

    def _feed_forward(self, x_Qd: Tensor) -> Tensor:
        gate_Qi, up_Qi = linear(x_Qd, self.gate_and_up_2id).chunk(2, -1)
        outer_Qd: Tensor = self.outer(self.dropout(silu(gate_Qi) * up_Qi))
        return outer_Qd


def _added(x_Qd: Tensor, gate: nn.Linear | None, change_Qd: Tensor) -> Tensor:
    return x_Qd + change_Qd if gate is None else x_Qd.addcmul(gate(x_Qd).sigmoid(), change_Qd)


def _linear(from_dim: int, to_dim: int, *, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(from_dim, to_dim, bias=bias)
    nn.init.xavier_normal_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
