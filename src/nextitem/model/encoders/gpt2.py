"""GPT-2 over items (Radford et al., 2019): the GPT4Rec that Klenitskiy & Vasilev configured and never ran.

B rows, L length, P positions that are computed, Q of them that ask in a layer, T that are read, d width, i inner width.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.layers.attention import attend_to, attention_flops, heads_divide_dim
from nextitem.model.layers.dropout import Dropout
from nextitem.model.layers.packing import Queries, arrange
from nextitem.model.layers.stack import stacked


class GPT2(Encoder):
    """Settings of GPT-2; width, blocks and heads are those of Klenitskiy & Vasilev (RecSys 2023), the rest GPT-2's."""

    name: Literal["gpt2"] = "gpt2"
    is_causal: ClassVar[bool] = True
    takes_prefix: ClassVar[bool] = True
    blocks: int = Field(2, ge=1, le=256)
    """Number of transformer blocks."""
    heads: int = Field(1, ge=1)
    """Attention heads; must divide dim."""
    inner: int | None = Field(None, ge=1)
    """Width of the feed-forward layers; none: four times dim."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """Probability of dropping a value, in embeddings, attention weights and what a block adds."""
    positions: int = Field(200, ge=1)
    """Rows of the position table; the maximum length must not exceed it."""

    _heads_divide_dim = field_validator("heads")(heads_divide_dim)

    @property
    def most_length(self) -> int:
        """Rows of the position table."""
        return self.positions

    def flops(self, length: int) -> int:
        """Of a position, forward and backward; attention is a product with every place of the window more."""
        return super().flops(length) + attention_flops(self.blocks, length, self.dim)

    def build(self, number_of_users: int = 0) -> "GPT2Encoder":
        """The encoder with fresh weights from torch's global generator."""
        return GPT2Encoder(self.dim, self.blocks, self.heads, self.inner or 4 * self.dim, self.dropout, self.positions)


class GPT2Encoder(nn.Module):
    """Pre-norm transformer blocks, GELU in its tanh form, learned positions from the oldest item, a norm at the end.

    Weights start at N(0, 0.02²), those that end a block's two branches at that over √(2·blocks), biases at 0.
    """

    def __init__(self, dim: int, blocks: int, heads: int, inner: int, dropout: float, positions: int) -> None:
        super().__init__()
        self.positions_Ld = nn.Parameter(torch.empty(positions, dim).normal_(0.0, 0.02))
        self.dropout = Dropout(dropout)
        ending = 0.02 / (2 * blocks) ** 0.5
        self.blocks = nn.ModuleList(_Block(dim, heads, inner, dropout, ending) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (T, d) at the flat positions `read_T` of B·L; none depends on what comes after it."""
        layout = arrange(lengths_B, embeddings_BLd.shape[1], is_causal=True)
        positions_Pd = self.positions_Ld.index_select(0, layout.columns_P)
        x_Pd = self.dropout(layout.flat(embeddings_BLd) + positions_Pd)
        x_Qd, places_T = stacked(self.blocks, x_Pd, layout, read_T)
        states_Qd: Tensor = self.last_norm(x_Qd)
        return layout.rows(states_Qd) if places_T is None else states_Qd.index_select(0, places_T)


class _Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)); each branch ends in dropout."""

    def __init__(self, dim: int, heads: int, inner: int, dropout: float, ending: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim, eps=1e-5)
        self.attention = _linear(dim, 3 * dim, 0.02)  # query, key and value
        self.out_projection = _linear(dim, dim, ending)
        self.forward_norm = nn.LayerNorm(dim, eps=1e-5)
        self.inner = _linear(dim, inner, 0.02)
        self.outer = _linear(inner, dim, ending)
        self.dropout = Dropout(dropout)

    def forward(self, x_Pd: Tensor, queries: Queries) -> Tensor:
        x_Qd = queries.of(x_Pd) + self.dropout(self._attend(self.attention_norm(x_Pd), queries))
        inner_Qi = gelu(self.inner(self.forward_norm(x_Qd)), approximate="tanh")
        states_Qd: Tensor = x_Qd + self.dropout(self.outer(inner_Qi))
        return states_Qd

    def _attend(self, x_Pd: Tensor, queries: Queries) -> Tensor:
        dim, weight, bias = x_Pd.shape[1], self.attention.weight, self.attention.bias
        q_Qd = linear(queries.of(x_Pd), weight[:dim], bias[:dim])
        keys_and_values, probability = (weight[dim:], bias[dim:]), self.dropout.probability
        mixed_Qd = attend_to(x_Pd, q_Qd, keys_and_values, queries, self.heads, probability, training=self.training)
        projected_Qd: Tensor = self.out_projection(mixed_Qd)
        return projected_Qd


def _linear(from_dim: int, to_dim: int, deviation: float) -> nn.Linear:
    layer = nn.Linear(from_dim, to_dim)
    nn.init.normal_(layer.weight, 0.0, deviation)
    nn.init.zeros_(layer.bias)
    return layer
