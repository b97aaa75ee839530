"""SASRec: causal self-attention over the history (Kang & McAuley, ICDM 2018), as Klenitskiy & Vasilev run it.

B rows, L length, P positions that are computed, Q of them that ask in a layer, T that are read, d width.
"""

from collections.abc import Collection
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.layers.attention import attend_to, attention_flops, heads_divide_dim
from nextitem.model.layers.dropout import Dropout
from nextitem.model.layers.packing import Queries, arrange
from nextitem.model.layers.positions import PositionDirection, places
from nextitem.model.layers.stack import Removable, stacked

NormPlacement = Literal["query", "pre"]


class SASRec(Encoder):
    """Settings of SASRec; the defaults are those of Klenitskiy & Vasilev (RecSys 2023)."""

    name: Literal["sasrec"] = "sasrec"
    is_causal: ClassVar[bool] = True
    takes_prefix: ClassVar[bool] = True
    blocks: int = Field(2, ge=1, le=256)
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
    without: tuple[Removable, ...] = ()
    """Parts that are left out, for ablations: `positions`, `feed_forward`, `norms` (all of them), `residuals`."""

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

    def build(self, number_of_users: int = 0) -> "SASRecEncoder":
        """The encoder with fresh weights from torch's global generator."""
        return SASRecEncoder(**self.model_dump(exclude={"name"}))


class SASRecEncoder(nn.Module):
    """Causal transformer with the reference implementation's layer order.

    Each block: q = LN(x); x = q + attention(q, x, x); x = LN(x); x = x + FFN(x), where FFN is linear, dropout, ReLU,
    linear, dropout. A last LN follows. Rows are right-padded and attention is causal, so no real position ever sees a
    padded one; the states at padded positions are meaningless.
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
        without: Collection[Removable] = (),
    ) -> None:
        super().__init__()
        self.dim = dim
        self.position_direction: PositionDirection = position_direction
        has_positions = "positions" not in without
        self.positions_Ld = nn.Parameter(torch.empty(positions, dim).normal_(0.0, 0.02)) if has_positions else None
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            _Block(dim, heads, dropout, norm_placement, attention_output_projection, without) for _ in range(blocks)
        )
        self.last_norm = _norm(dim, without)

    def forward(
        self, embeddings_BLd: Tensor, lengths_B: Tensor, users_B: Tensor | None = None, read_T: Tensor | None = None
    ) -> Tensor:
        """States (B, L, d), or (T, d) at the flat positions `read_T` of B·L; none depends on what comes after it."""
        layout = arrange(lengths_B, embeddings_BLd.shape[1], is_causal=True)
        x_Pd = layout.flat(embeddings_BLd) * self.dim**0.5
        if self.positions_Ld is not None:
            places_P = places(layout, len(self.positions_Ld), self.position_direction)
            x_Pd = x_Pd + self.positions_Ld.index_select(0, places_P)
        x_Pd = self.dropout(x_Pd)
        x_Qd, places_T = stacked(self.blocks, x_Pd, layout, read_T)
        states_Qd: Tensor = self.last_norm(x_Qd)
        return layout.rows(states_Qd) if places_T is None else states_Qd.index_select(0, places_T)


class _Block(nn.Module):
    """Self-attention and a position-wise feed-forward layer."""

    def __init__(
        self,
        dim: int,
        heads: int,
        dropout: float,
        norm_placement: NormPlacement,
        has_output_projection: bool,
        without: Collection[Removable],
    ) -> None:
        super().__init__()
        self.norm_placement = norm_placement
        self.has_residuals, self.has_feed_forward = "residuals" not in without, "feed_forward" not in without
        self.attention_norm = _norm(dim, without)
        self.attention = _CausalAttention(dim, heads, dropout, has_output_projection)
        if not self.has_feed_forward:
            return
        self.forward_norm = _norm(dim, without)
        self.inner = _linear(dim)
        self.outer = _linear(dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_Pd: Tensor, queries: Queries) -> Tensor:
        from_Qd, is_pre = queries.of(x_Pd), self.norm_placement == "pre"
        normed_Qd = self.attention_norm(from_Qd)
        mixed_Qd = self.attention(normed_Qd, self.attention_norm(x_Pd) if is_pre else x_Pd, queries)
        states_Qd: Tensor = self._joined(from_Qd if is_pre else normed_Qd, mixed_Qd)
        if not self.has_feed_forward:
            return states_Qd
        forward_Qd = self.forward_norm(states_Qd)
        return self._joined(states_Qd if is_pre else forward_Qd, self._feed_forward(forward_Qd))

    def _joined(self, from_Qd: Tensor, change_Qd: Tensor) -> Tensor:
        return from_Qd + change_Qd if self.has_residuals else change_Qd

    def _feed_forward(self, x_Qd: Tensor) -> Tensor:
        inner_Qd = self.dropout(self.inner(x_Qd)).relu()
        outer_Qd: Tensor = self.dropout(self.outer(inner_Qd))
        return outer_Qd


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

    def forward(self, query_Qd: Tensor, x_Pd: Tensor, queries: Queries) -> Tensor:
        dim = x_Pd.shape[1]
        q_Qd = nn.functional.linear(query_Qd, self.in_weight[:dim], self.in_bias[:dim])
        keys_and_values = self.in_weight[dim:], self.in_bias[dim:]
        mixed_Qd = attend_to(x_Pd, q_Qd, keys_and_values, queries, self.heads, self.probability, training=self.training)
        projected_Qd: Tensor = self.out(mixed_Qd)
        return projected_Qd


def _norm(dim: int, without: Collection[Removable]) -> nn.Module:
    return nn.Identity() if "norms" in without else nn.LayerNorm(dim, eps=1e-8)


def _linear(dim: int) -> nn.Linear:
    layer = nn.Linear(dim, dim)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    nn.init.zeros_(layer.bias)
    return layer
