"""Scores that are products of vectors. C rows, K candidates, N items, f factors."""

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import embedding

from nextitem.model.layers.twins import Twins


class Products:
    """A query whose scores are products of C vectors with those of the items; items of equal vectors tie exactly."""

    def __init__(self, vectors_Cf: Tensor, items_Nf: Tensor, twins: Twins | None = None) -> None:
        """Which items are `twins` is found out where it is not said."""
        self.vectors_Cf = vectors_Cf
        self.items_Nf = items_Nf
        self.number_of_items = len(items_Nf)
        self._twins = Twins.among(items_Nf) if twins is None else twins

    def __len__(self) -> int:
        return len(self.vectors_Cf)

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start)."""
        scores = self.vectors_Cf @ self.items_Nf[start:stop].T
        return self._twins.level_slice(scores, start, self._shared_CG) if len(self._twins) else scores

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each row's own candidates, shape (C, K)."""
        scores = torch.bmm(embedding(ids_CK, self.items_Nf), self.vectors_Cf[:, :, None])[:, :, 0]
        return self._twins.level(scores, ids_CK, self._shared_CG) if len(self._twins) else scores

    def vectors(self) -> Tensor:
        """The C vectors, as wide as those of the items."""
        return self.vectors_Cf

    @cached_property
    def _shared_CG(self) -> Tensor:
        """Of each group of twins the one score."""
        return self.vectors_Cf @ self.items_Nf[self._twins.last_G].T

    def select(self, rows: Tensor) -> "Products":
        """The query for some of the rows (indices or a mask)."""
        return Products(self.vectors_Cf[rows], self.items_Nf, self._twins)
