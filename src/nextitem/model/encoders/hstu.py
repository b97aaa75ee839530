"""HSTU: attention without a softmax, biased by how far back and how long ago an event was (Zhai et al., ICML 2024).

B rows, L length, P positions that are computed, Q of them that ask in a layer, T that are read, d width; within a group
n rows, h heads, m queries, l keys.
"""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, silu

from nextitem.model.encoders.encoder import Encoder
from nextitem.model.layers.attention import attention_flops, heads_divide_dim, in_heads
from nextitem.model.layers.dropout import Dropout
from nextitem.model.layers.gaps import BUCKETS, Gap, Gaps
from nextitem.model.layers.packing import Queries, arrange
from nextitem.model.layers.stack import stacked

Times = Literal["past", "target_leaks"]

_EPSILON = 1e-6


class HSTU(Encoder):
    """Settings of HSTU; the defaults are the published ones for MovieLens-1M (Zhai et al., ICML 2024)."""

    name: Literal["hstu"] = "hstu"
    is_causal: ClassVar[bool] = True
    takes_prefix: ClassVar[bool] = True
    reads_times: ClassVar[bool] = True
    dim: int = Field(50, ge=1)
    """Width d of item vectors and states."""
    blocks: int = Field(2, ge=1, le=256)
    """Number of blocks."""
    heads: int = Field(1, ge=1)
    """Attention heads; must divide dim."""
    dropout: float = Field(0.2, ge=0.0, lt=1.0)
    """Probability of dropping a value, in embeddings and in what a block adds."""
    positions: int = Field(200, ge=1)
    """Rows of the position tables, and what attention is divided by; the maximum length must not exceed it."""

    times: Times = "past"
    """What an event's distance in time is counted from: the event that asks (`past`), or, as published, the very event
    that is to be foreseen, whose time says much about it and is not known when a list is made (`target_leaks`)."""

    _heads_divide_dim = field_validator("heads")(heads_divide_dim)

    @property
    def reads_target_times(self) -> bool:
        """Where its name says so."""
        return self.times == "target_leaks"

    @property
    def most_length(self) -> int:
        """Rows of the position tables."""
        return self.positions

    def flops(self, length: int) -> int:
        """Of a position, forward and backward; attention is a product with every place of the window more."""
        return super().flops(length) + attention_flops(self.blocks, length, self.dim)

    def build(self, number_of_users: int = 0) -> "HSTUEncoder":
        """The encoder with fresh weights from torch's global generator."""
        return HSTUEncoder(**self.model_dump(exclude={"name", "times"}))


class HSTUEncoder(nn.Module):
    """Hierarchical sequential transduction units (Zhai et al., 2024, arXiv 2402.17152, equations 1 to 3).

    With LN a norm without weights, ⊙ the product of each two numbers and i the position that asks, each block is

        u, v, q, k = silu(W LN(x))
        a_ij = silu(q_i · k_j + p(i − j) + r(⌊ln(max(1, t_i − t_j)) / 0.301⌋)) / n    for j ≤ i
        x_i = x_i + W_o (u_i ⊙ LN(Σ_j a_ij v_j)) + b_o

    t are times in seconds, p and r tables of the block that heads share, and n is `positions`. Item vectors times √d
    and learned positions enter, as published. Not as published: t_i is when event i itself was, and theirs is when the
    event was that is to be foreseen, which is not known when a list is made; b_o starts at 0, where theirs is drawn.
    """

    def __init__(self, dim: int, blocks: int, heads: int, dropout: float, positions: int) -> None:
        super().__init__()
        self.dim = dim
        self.positions_Ld = nn.Parameter(nn.init.trunc_normal_(torch.empty(positions, dim), 0.0, dim**-0.5))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(dim, heads, dropout, positions) for _ in range(blocks))

    def forward(
        self,
        embeddings_BLd: Tensor,
        lengths_B: Tensor,
        users_B: Tensor | None = None,
        read_T: Tensor | None = None,
        *,
        times_BL: Tensor,
        asked_BL: Tensor | None = None,
    ) -> Tensor:
        """States (B, L, d), or (T, d) at the flat positions `read_T` of B·L; none depends on what comes after it.

        With `asked_BL`, the times that are foreseen, distances are counted from these, as published.
        """
        layout = arrange(lengths_B, embeddings_BLd.shape[1], is_causal=True)
        positions_Pd = self.positions_Ld.index_select(0, layout.columns_P)
        x_Pd = self.dropout(positions_Pd.add(layout.flat(embeddings_BLd), alpha=self.dim**0.5))
        times_P, asked_P = (
            layout.flat(one[..., None])[:, 0] for one in (times_BL, times_BL if asked_BL is None else asked_BL)
        )
        gaps = Gaps(layout.columns_P, times_P, asked_P)
        x_Qd, places_T = stacked([partial(block, gaps=gaps) for block in self.blocks], x_Pd, layout, read_T)
        return layout.rows(x_Qd) if places_T is None else x_Qd.index_select(0, places_T)


class _Block(nn.Module):
    """Pointwise aggregated attention, gated."""

    def __init__(self, dim: int, heads: int, dropout: float, positions: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection_4dd = nn.Parameter(torch.empty(4 * dim, dim).normal_(0.0, 0.02))  # u, q, v and k
        self.of_places_L = nn.Parameter(torch.empty(positions).normal_(0.0, 0.02))
        self.of_gaps_K = nn.Parameter(torch.empty(BUCKETS).normal_(0.0, 0.02))
        self.out = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.dropout = Dropout(dropout)

    def forward(self, x_Pd: Tensor, queries: Queries, *, gaps: Gaps) -> Tensor:
        dim = x_Pd.shape[1]
        normed_Pd = _normed(x_Pd)
        if queries.places_Q is None:
            x_Qd, (u_Qd, q_Qd, v_Pd, k_Pd) = x_Pd, silu(linear(normed_Pd, self.projection_4dd)).chunk(4, -1)
        else:
            x_Qd = queries.of(x_Pd)
            u_Qd, q_Qd = silu(linear(queries.of(normed_Pd), self.projection_4dd[: 2 * dim])).chunk(2, -1)
            v_Pd, k_Pd = silu(linear(normed_Pd, self.projection_4dd[2 * dim :])).chunk(2, -1)
        mixed_Qd = self._attend(q_Qd, v_Pd, k_Pd, queries, gaps.within(queries))
        changed_Qd: Tensor = x_Qd + self.out(self.dropout(u_Qd * _normed(mixed_Qd)))
        return changed_Qd

    def _attend(self, q_Qd: Tensor, v_Pd: Tensor, k_Pd: Tensor, queries: Queries, gaps: Sequence[Gap]) -> Tensor:
        mixed = []
        for group, gap in zip(queries.groups, gaps, strict=True):
            q_nhmw = in_heads(group.padded_queries(q_Qd), self.heads)
            k_nhlw, v_nhlw = (in_heads(group.padded_keys(part), self.heads) for part in (k_Pd, v_Pd))
            # Of what is hidden the bias is so low that silu makes 0 of it.
            bias_nhml = group.bias_nhml + gap.of(self.of_places_L, self.of_gaps_K)[:, None]
            weights_nhml = silu(q_nhmw @ k_nhlw.transpose(2, 3) + bias_nhml)
            mixed.append(group.unpadded((weights_nhml @ v_nhlw).transpose(1, 2).flatten(2)))
        return (torch.cat(mixed) if mixed else q_Qd) / len(self.of_places_L)


def _normed(x_Pd: Tensor) -> Tensor:
    return layer_norm(x_Pd, x_Pd.shape[1:], eps=_EPSILON)
