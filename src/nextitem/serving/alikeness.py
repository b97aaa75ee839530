"""How alike items are: the cosine of a model's item vectors, or of who had them.

A model with a vector for each item (every sequence model, BPR-MF) is asked itself. What counts has none: there two
items are alike as far as the same histories hold both, |both| / √(|one| · |other|), how often and in which order aside.

Q items, C rows, K candidates, N items, U users.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.evaluation.scoring import Query, Scorer, VectorScorer
from nextitem.model.layers.products import Products
from nextitem.model.layers.twins import Twins

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class Alikeness(Protocol):
    """How alike any two items of a catalogue are, from −1 to 1."""

    by: ClassVar[str]
    """Of what the cosine is, in words."""

    def query(self, items_Q: Tensor) -> Query:
        """How alike all items are to each of these; −inf where nothing can be said."""

    def says_nothing_of(self, items_Q: Tensor) -> Tensor:
        """Which of these items are like no other, since nothing is known of them, shape (Q,)."""


def alikeness_of(scorer: Scorer, histories: Sequences | None) -> Alikeness:
    """By the vectors of the scorer or, where it has none, by histories. Raises DataError where these are unknown."""
    if isinstance(scorer, VectorScorer):
        return OfVectors(scorer.item_vectors())
    if histories is None:
        raise DataError(
            "the model counts and has no vectors of items, and the run was stored without its users' histories, which "
            "would tell who had both of two items; train anew with --users, or ask a run of a model that has vectors"
        )
    return OfHistories(histories)


@dataclass(frozen=True)
class OfVectors:
    """Cosines of the vectors by which a model scores items; items of equal vectors tie exactly."""

    by: ClassVar[str] = "vectors"
    vectors_Ne: Tensor

    @cached_property
    def _unit_Ne(self) -> Tensor:
        return normalize(self.vectors_Ne.cpu().float(), dim=1)

    @cached_property
    def _twins(self) -> Twins:
        return Twins.among(self._unit_Ne)

    def query(self, items_Q: Tensor) -> Products:
        """The cosines with each of these items."""
        return Products(self._unit_Ne[items_Q], self._unit_Ne, self._twins)

    def says_nothing_of(self, items_Q: Tensor) -> Tensor:
        """Those whose vector is 0."""
        return ~self._unit_Ne[items_Q].any(1)


@dataclass(frozen=True)
class OfHistories:
    """Cosines of the sets of histories that hold an item; items that no history shares are not compared."""

    by: ClassVar[str] = "histories"
    histories: Sequences

    @cached_property
    def _had_UN(self) -> "csr_matrix":
        from scipy.sparse import csr_matrix  # takes a while to load

        rows, items = (part.numpy() for part in self.histories.flatten())
        shape = (len(self.histories), self.histories.number_of_items)
        had_UN = csr_matrix((np.ones(len(items)), (rows, items)), shape)  # what is there twice is added up
        had_UN.data[:] = 1
        return had_UN

    @cached_property
    def _columns_UN(self) -> "csr_matrix":
        return self._had_UN.tocsc()

    @cached_property
    def _histories_N(self) -> Tensor:
        """How many histories hold each item."""
        return torch.from_numpy(np.diff(self._columns_UN.indptr).astype(np.float64))

    def query(self, items_Q: Tensor) -> "_Shared":
        """The cosines with each of these items."""
        return _Shared(self, items_Q)

    def says_nothing_of(self, items_Q: Tensor) -> Tensor:
        """Those that no history holds."""
        return self._histories_N[items_Q] == 0

    def cosines(self, items_Q: Tensor) -> Tensor:
        """All cosines with some items, shape (Q, N) float64; −inf where no history holds both."""
        shared_QN = torch.from_numpy((self._columns_UN[:, items_Q.numpy()].T @ self._had_UN).toarray())
        cosines_QN = shared_QN / (self._histories_N[items_Q, None] * self._histories_N).sqrt().clamp(min=1)
        return cosines_QN.masked_fill(shared_QN == 0, -torch.inf)


class _Shared:
    """Cosines with C items, computed once they are asked for: whoever has many selects some of them before."""

    def __init__(self, alikeness: OfHistories, items_C: Tensor) -> None:
        self.alikeness, self.items_C = alikeness, items_C
        self.number_of_items = alikeness.histories.number_of_items

    def __len__(self) -> int:
        return len(self.items_C)

    @cached_property
    def _cosines_CN(self) -> Tensor:
        return self.alikeness.cosines(self.items_C)

    def scores(self, start: int, stop: int) -> Tensor:
        """The cosines with the items start…stop−1, shape (C, stop − start) float64."""
        return self._cosines_CN[:, start:stop].clone()

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """The cosines with each row's own candidates, shape (C, K)."""
        return self._cosines_CN.gather(1, ids_CK)

    def select(self, rows: Tensor) -> "_Shared":
        """The query for some of the items."""
        return _Shared(self.alikeness, self.items_C[rows])
