"""BERT4Rec: bidirectional self-attention over the history (Sun et al., CIKM 2019), as Klenitskiy & Vasilev run it.

Its options restore the model of 2019: a head before the scores and dropout of its own for attention (with items.bias);
and they leave parts out, as its ablation does.

B rows, L length, P positions that are computed, Q of them that ask in a layer, T that are read, d width.
"""

from collections.abc import Collection
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.layers.attention import attend, attention_flops, heads_divide_dim
from nextitem.model.layers.dropout import Dropout
from nextitem.model.layers.packing import Queries, arrange
from nextitem.model.layers.stack import Removable, stacked


class BERT4Rec(Encoder):
    """Settings of BERT4Rec; the defaults are those of Klenitskiy & Vasilev (RecSys 2023)."""

    name: Literal["bert4rec"] = "bert4rec"
    is_causal: ClassVar[bool] = False  # it sees the whole window
    takes_prefix: ClassVar[bool] = True
    blocks: int = Field(2, ge=1, le=256)
    """Number of transformer blocks, which the paper calls layers."""
    heads: int = Field(2, ge=1)
    """Attention heads; must divide dim."""
    inner: int = Field(256, ge=1)
    """Width of the feed-forward layers."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """Probability of dropping a value, in embeddings, attention weights and layer outputs."""
    attention_dropout: float | None = Field(None, ge=0.0, lt=1.0)
    """Probability of dropping an attention weight; none: as `dropout`."""
    output_layer: bool = False
    """Whether a dense layer, GELU and a norm stand between the last layer and the scores (2019)."""
    positions: int = Field(200, ge=1)
    """Rows of the position table; the maximum length must not exceed it."""
    without: tuple[Removable, ...] = ()
    """Parts that are left out, for ablations: `positions`, `feed_forward`, `norms` (all of them), `residuals`."""

    _heads_divide_dim = field_validator("heads")(heads_divide_dim)

    @property
    def most_length(self) -> int:
        """Rows of the position table."""
        return self.positions

    def flops(self, length: int) -> int:
        """Of a position, forward and backward; attention is a product with every place of the window more."""
        return super().flops(length) + attention_flops(self.blocks, length, self.dim)

    def build(self, number_of_users: int = 0) -> "BERT4RecEncoder":
        """The encoder with fresh weights from torch's global generator."""
        return BERT4RecEncoder(**self.model_dump(exclude={"name"}))


class BERT4RecEncoder(nn.Module):
    """The BERT encoder: post-norm, GELU, learned positions from the oldest item, a constant token-type vector."""

    def __init__(
        self,
        dim: int,
        blocks: int,
        heads: int,
        inner: int,
        dropout: float,
        positions: int,
        attention_dropout: float | None = None,
        output_layer: bool = False,
        without: Collection[Removable] = (),
    ) -> None:
        super().__init__()
        attention_dropout = dropout if attention_dropout is None else attention_dropout
        self.dim = dim
        has_positions = "positions" not in without
        self.positions_Ld = nn.Parameter(torch.empty(positions, dim).normal_(0.0, 0.02)) if has_positions else None
        self.token_type_d = nn.Parameter(torch.empty(dim).normal_(0.0, 0.02))
        self.embedding_norm = _norm(dim, without)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            _Block(dim, heads, inner, dropout, attention_dropout, without) for _ in range(blocks)
        )
        self.output_layer = _linear(dim, dim) if output_layer else None
        self.output_norm = _norm(dim, without) if output_layer else None

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (T, d) at the flat positions `read_T` of B·L.

        Each depends on every real position of its row and on no padded one.
        """
        layout = arrange(lengths_B, embeddings_BLd.shape[1], is_causal=False)
        x_Pd = layout.flat(embeddings_BLd)
        if self.positions_Ld is not None:
            x_Pd = x_Pd + self.positions_Ld.index_select(0, layout.columns_P)
        x_Pd = self.dropout(self.embedding_norm(x_Pd + self.token_type_d))
        x_Qd, places_T = stacked(self.blocks, x_Pd, layout, read_T)
        if places_T is not None:
            return self._head(x_Qd.index_select(0, places_T))
        return layout.rows(self._head(x_Qd))

    def _head(self, x_Pd: Tensor) -> Tensor:
        if self.output_layer is None or self.output_norm is None:
            return x_Pd
        states_Pd: Tensor = self.output_norm(nn.functional.gelu(self.output_layer(x_Pd)))
        return states_Pd


class _Block(nn.Module):
    """Attention and feed-forward, each followed by dropout, the residual and a norm."""

    def __init__(
        self, dim: int, heads: int, inner: int, dropout: float, attention_dropout: float, without: Collection[Removable]
    ) -> None:
        super().__init__()
        self.heads, self.attention_dropout = heads, attention_dropout
        self.query, self.key, self.value = (_linear(dim, dim) for _ in range(3))
        self.out_projection = _linear(dim, dim)
        self.attention_norm = _norm(dim, without)
        self.dropout, self.has_residuals = Dropout(dropout), "residuals" not in without
        self.has_feed_forward = "feed_forward" not in without
        if self.has_feed_forward:
            self.inner = _linear(dim, inner)
            self.outer = _linear(inner, dim)
            self.forward_norm = _norm(dim, without)

    def forward(self, x_Pd: Tensor, queries: Queries) -> Tensor:
        from_Qd = queries.of(x_Pd)
        states_Qd: Tensor = self.attention_norm(self._joined(from_Qd, self._attend(from_Qd, x_Pd, queries)))
        if self.has_feed_forward:
            inner_Qi = nn.functional.gelu(self.inner(states_Qd))
            states_Qd = self.forward_norm(self._joined(states_Qd, self.outer(inner_Qi)))
        return states_Qd

    def _joined(self, from_Qd: Tensor, change_Qd: Tensor) -> Tensor:
        dropped_Qd: Tensor = self.dropout(change_Qd)
        return from_Qd + dropped_Qd if self.has_residuals else dropped_Qd

    def _attend(self, from_Qd: Tensor, x_Pd: Tensor, queries: Queries) -> Tensor:
        keys_and_values_P2d = torch.cat([self.key(x_Pd), self.value(x_Pd)], 1)
        share, training = self.attention_dropout, self.training
        mixed_Qd = attend(self.query(from_Qd), keys_and_values_P2d, queries, self.heads, share, training=training)
        projected_Qd: Tensor = self.out_projection(mixed_Qd)
        return projected_Qd


def _norm(dim: int, without: Collection[Removable]) -> nn.Module:
    return nn.Identity() if "norms" in without else nn.LayerNorm(dim, eps=1e-12)


def _linear(from_dim: int, to_dim: int) -> nn.Linear:
    layer = nn.Linear(from_dim, to_dim)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    nn.init.zeros_(layer.bias)
    return layer
