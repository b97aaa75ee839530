"""How far back and how long ago keys are of who asks. P positions, within a group n rows, m queries, l keys."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.model.layers.packing import Queries, RowGroup

BUCKETS = 129  # of logarithms of seconds; the last is of all that is longer ago, and 38 years are in the 70th
_STEP = 0.301


@dataclass(frozen=True)
class Gap:
    """Of a group, where in a table of each the gap between a query and a key is."""

    places_nml: Tensor
    """Places between them, 0 of what is hidden; (1, m, l) where all rows are alike."""
    buckets_nml: Tensor
    """Seconds between them, as `bucket` divides them."""

    def of(self, of_places_L: Tensor, of_buckets_K: Tensor) -> Tensor:
        """What the two tables say of each query and key, added, shape (n, m, l)."""
        of_places = of_places_L.index_select(0, self.places_nml.flatten()).view_as(self.places_nml)
        return of_places + of_buckets_K.index_select(0, self.buckets_nml.flatten()).view_as(self.buckets_nml)


class Gaps:
    """Those of P positions that have `columns_P` in their rows, were at `times_P` and ask at `asked_P`, in seconds."""

    def __init__(self, columns_P: Tensor, times_P: Tensor, asked_P: Tensor) -> None:
        self._columns_P, self._times_P, self._asked_P = columns_P, times_P, asked_P
        self._known: list[tuple[Queries, list[Gap]]] = []  # all blocks but the last have the same queries

    def within(self, queries: Queries) -> list[Gap]:
        """The gaps of each group of these queries."""
        for known, gaps in self._known:
            if known is queries:
                return gaps
        columns_Q, asked_Q = queries.of(self._columns_P), queries.of(self._asked_P)
        gaps = [self._gap(group, columns_Q, asked_Q) for group in queries.groups]
        self._known.append((queries, gaps))
        return gaps

    def _gap(self, group: RowGroup, columns_Q: Tensor, asked_Q: Tensor) -> Gap:
        times_nl = group.padded_keys(self._times_P[:, None])[..., 0]
        columns_l = torch.arange(times_nl.shape[1], device=times_nl.device)
        columns_nm = group.padded_queries(columns_Q[:, None])[..., 0]
        if group.is_triangle:
            columns_nm = columns_l[None]
        asked_nm = group.padded_queries(asked_Q[:, None])[..., 0]
        places_nml = (columns_nm[:, :, None] - columns_l).clamp_(min=0)
        return Gap(places_nml, bucket(asked_nm[:, :, None] - times_nl[:, None]))


def bucket(seconds: Tensor) -> Tensor:
    """⌊ln(seconds) / 0.301⌋, from 0 for a second and less to 128, int64 (Zhai et al., 2024, in their code).

    >>> bucket(torch.tensor([-5, 0, 1, 2, 60, 86400, 10**18]))
    tensor([  0,   0,   0,   2,  13,  37, 128])
    """
    return (seconds.clamp(min=1).to(torch.float32).log() / _STEP).to(torch.int64).clamp_(max=BUCKETS - 1)
