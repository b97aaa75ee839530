"""Rows of unlike length side by side without padding, and padded in groups of like length where attention mixes them.

B rows, L length, P positions that are computed, Q of them that ask in a layer of attention, T that are read, d width;
within a group n rows, m queries and l keys.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from nextitem.compute import transfer

GROUP_ROWS = 32
# Not −inf: a row without any real key must not become NaN.
_HIDDEN = torch.finfo(torch.float32).min


@dataclass(frozen=True)
class RowGroup:
    """Rows that are padded to one length: their parts of the Q and of the P, and what may not be seen."""

    queries: slice
    query_places_nm: Tensor | None  # in that part, any place beyond a row's last query; None: all rows are full
    real_queries: Tensor | None  # flat places in n·m of the queries that exist, in order; None: all of them
    keys: slice
    key_places_nl: Tensor | None
    bias_nhml: Tensor  # very negative where a query must not see a key, else 0; of size 1 where all are alike
    rows: int
    is_triangle: bool = False  # whether the bias hides from the first query all keys but the first, and so on

    def padded_queries(self, x_Qd: Tensor) -> Tensor:
        """The queries of the group, shape (n, m, d)."""
        return _padded(x_Qd[self.queries], self.query_places_nm, self.rows)

    def padded_keys(self, x_Pd: Tensor) -> Tensor:
        """The keys or values of the group, shape (n, l, d)."""
        return _padded(x_Pd[self.keys], self.key_places_nl, self.rows)

    def unpadded(self, x_nmd: Tensor) -> Tensor:
        """The queries that exist, in the order of the Q."""
        x = x_nmd.flatten(0, 1)
        return x if self.real_queries is None else x.index_select(0, self.real_queries)


@dataclass(frozen=True)
class Queries:
    """Who asks in a layer of attention."""

    places_Q: Tensor | None  # among the P; None: all of them
    groups: tuple[RowGroup, ...]

    def of(self, x_Pd: Tensor) -> Tensor:
        """The vectors of those who ask, shape (Q, d)."""
        return x_Pd if self.places_Q is None else x_Pd.index_select(0, self.places_Q)


class Layout(Protocol):
    """Which positions of right-padded rows are computed, and in what order."""

    columns_P: Tensor
    """Where each position is in its row, 0 for the oldest."""
    lengths_P: Tensor
    """The length of each position's row."""

    def flat(self, x_BLd: Tensor) -> Tensor:
        """The P positions of rows, shape (P, d)."""

    def rows(self, x_Pd: Tensor) -> Tensor:
        """Back in rows, shape (B, L, d); what is not computed is 0."""

    def everyone(self) -> Queries:
        """All positions ask."""

    def readers(self, read_T: Tensor) -> tuple[Queries, Tensor]:
        """Who has to ask so that the flat positions `read_T` of B·L can be read, and where these are among the Q."""


def arrange(lengths_B: Tensor, length: int, *, is_causal: bool) -> Layout:
    """The layout for rows of these lengths in a batch of this width.

    On the CPU real positions alone are computed. Elsewhere all are: regular work beats less work there, and the
    lengths would have to be waited for.
    """
    layout = Padded if transfer.is_asynchronous(lengths_B.device) else Packed
    return layout(lengths_B, length, is_causal=is_causal)


class Padded:
    """All B·L positions, in one group."""

    def __init__(self, lengths_B: Tensor, length: int, *, is_causal: bool) -> None:
        self._lengths_B, self._length, self._is_causal = lengths_B, length, is_causal
        # Sizes are asked of shapes: `len` would make them constants of an exported model.
        self.columns_P = torch.arange(length, device=lengths_B.device).repeat(lengths_B.shape[0])
        self.lengths_P = lengths_B.repeat_interleave(length)

    def flat(self, x_BLd: Tensor) -> Tensor:
        return x_BLd.flatten(0, 1)

    def rows(self, x_Pd: Tensor) -> Tensor:
        return x_Pd.view(self._lengths_B.shape[0], self._length, -1)

    def everyone(self) -> Queries:
        rows, everything = self._lengths_B.shape[0], slice(0, self.columns_P.shape[0])
        columns_l = torch.arange(self._length, device=self.columns_P.device)
        hidden = _hidden(columns_l[None], self._lengths_B, self._length, self._is_causal)
        return Queries(None, (RowGroup(everything, None, None, everything, None, hidden, rows, self._is_causal),))

    def readers(self, read_T: Tensor) -> tuple[Queries, Tensor]:
        return self.everyone(), read_T


class Packed:
    """Real positions only, row after row in order of length, in groups of 32 rows."""

    def __init__(self, lengths_B: Tensor, length: int, *, is_causal: bool) -> None:
        order_B = lengths_B.argsort(stable=True)
        self._shape, self._is_causal, self._lengths_B = (len(lengths_B), length), is_causal, lengths_B[order_B]
        self._starts_B = self._lengths_B.cumsum(0) - self._lengths_B
        self._row_P = torch.repeat_interleave(self._lengths_B)
        self.columns_P = torch.arange(len(self._row_P)) - self._starts_B[self._row_P]
        self.lengths_P = self._lengths_B[self._row_P]
        self._flat_P = order_B[self._row_P] * length + self.columns_P
        edges = [*range(0, len(lengths_B), GROUP_ROWS), len(lengths_B)]
        stops = [0, *self._lengths_B.cumsum(0).tolist()]
        self._parts = [(slice(a, b), slice(stops[a], stops[b])) for a, b in pairwise(edges)]

    def flat(self, x_BLd: Tensor) -> Tensor:
        return x_BLd.flatten(0, 1).index_select(0, self._flat_P)

    def rows(self, x_Pd: Tensor) -> Tensor:
        rows, length = self._shape
        return x_Pd.new_zeros(rows * length, x_Pd.shape[1]).index_copy(0, self._flat_P, x_Pd).view(rows, length, -1)

    def everyone(self) -> Queries:
        return Queries(None, tuple(self._all_of(rows, part) for rows, part in self._parts))

    def readers(self, read_T: Tensor) -> tuple[Queries, Tensor]:
        places = torch.zeros(self._shape[0] * self._shape[1], dtype=torch.int64)
        places[self._flat_P] = torch.arange(len(self._flat_P))
        places_T = places[read_T]
        if 2 * len(read_T) > len(self._flat_P):
            return self.everyone(), places_T
        places_Q, order_Q = places_T.sort()
        stops = torch.searchsorted(places_Q, torch.tensor([part.stop for _, part in self._parts])).tolist()
        groups = [
            self._some_of(rows, part, slice(start, stop), places_Q[start:stop])
            for (rows, part), start, stop in zip(self._parts, [0, *stops], stops, strict=False)
            if stop > start
        ]
        return Queries(places_Q, tuple(groups)), order_Q.argsort()

    def _all_of(self, rows: slice, part: slice) -> RowGroup:
        lengths_n, places_nl = self._lengths_B[rows], self._key_places(rows, part)
        columns_l = torch.arange(int(lengths_n[-1]))
        hidden = _hidden(columns_l[None], lengths_n, len(columns_l), self._is_causal)
        real = None if places_nl is None else (columns_l < lengths_n[:, None]).flatten().nonzero()[:, 0]
        return RowGroup(part, places_nl, real, part, places_nl, hidden, len(lengths_n), self._is_causal)

    def _some_of(self, rows: slice, part: slice, queries: slice, asked_q: Tensor) -> RowGroup:
        lengths_n, key_places_nl = self._lengths_B[rows], self._key_places(rows, part)
        row_q = self._row_P[asked_q] - rows.start
        counts_n = torch.bincount(row_q, minlength=len(lengths_n))
        starts_n, most = counts_n.cumsum(0) - counts_n, int(counts_n.max())
        places_nm = (starts_n[:, None] + torch.arange(most)).clamp_(max=len(asked_q) - 1)
        real = row_q * most + torch.arange(len(asked_q)) - starts_n[row_q]
        columns_nm = self.columns_P[asked_q][places_nm]
        hidden = _hidden(columns_nm, lengths_n, int(lengths_n[-1]), self._is_causal)
        return RowGroup(queries, places_nm, real, part, key_places_nl, hidden, len(lengths_n))

    def _key_places(self, rows: slice, part: slice) -> Tensor | None:
        shortest, longest = self._lengths_B[rows][[0, -1]].tolist()
        if shortest == longest and not torch.is_grad_enabled():  # a view may be computed in another way than a copy
            return None
        places_nl: Tensor = self._starts_B[rows, None] - part.start + torch.arange(longest)
        return places_nl.clamp_(max=part.stop - part.start - 1)


def _hidden(query_columns_nm: Tensor, lengths_n: Tensor, keys: int, is_causal: bool) -> Tensor:
    columns_l = torch.arange(keys, device=lengths_n.device)
    if is_causal:  # what a real query sees is real
        is_hidden_nml = columns_l > query_columns_nm[:, :, None]
    else:
        is_hidden_nml = (columns_l >= lengths_n[:, None])[:, None]
    bias_nml = torch.zeros(is_hidden_nml.shape, device=lengths_n.device).masked_fill_(is_hidden_nml, _HIDDEN)
    return bias_nml[:, None]


def _padded(x: Tensor, places: Tensor | None, rows: int) -> Tensor:
    if places is None:
        return x.view(rows, -1, x.shape[1])
    padded: Tensor = x.index_select(0, places.flatten()).view(*places.shape, x.shape[1])
    return padded
