"""Scores of all items after states that are known: what evaluation and lists read. C states, N items, e width."""

from functools import cached_property

import torch
from torch import Tensor

from nextitem.model.items.table import ItemTable
from nextitem.model.layers.twins import Twins


class StateQuery:
    """Scores of the items after C states, by the item table; items that it scores by equal vectors tie exactly."""

    def __init__(self, states_Ce: Tensor, items: ItemTable, twins: Twins | None = None) -> None:
        """Which items are `twins` is found out where it is not said."""
        self.states_Ce = states_Ce
        self.items = items
        self.number_of_items = items.number_of_items
        self._twins = items.twins() if twins is None else twins

    def __len__(self) -> int:
        return len(self.states_Ce)

    @torch.no_grad()
    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start)."""
        scores = self.items.scores(self.states_Ce, start, stop)
        return self._twins.level_slice(scores, start, self._shared_CG) if len(self._twins) else scores

    @torch.no_grad()
    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        ids_CK = ids_CK.to(self.states_Ce.device)
        scores = self.items.candidate_scores(self.states_Ce, ids_CK, "position", self._rows_C)
        return self._twins.level(scores, ids_CK, self._shared_CG) if len(self._twins) else scores

    def vectors(self) -> Tensor:
        """The states, whose products with the rows of the output table are scores, where there is such a table."""
        return self.states_Ce

    @property
    def _rows_C(self) -> Tensor:
        return torch.arange(len(self), device=self.states_Ce.device)

    @cached_property
    def _shared_CG(self) -> Tensor:
        """Of each group of twins the one score."""
        return self.items.candidate_scores(self.states_Ce, self._twins.last_G, "batch", self._rows_C)

    def select(self, rows: Tensor) -> "StateQuery":
        """The query for some of the histories."""
        return StateQuery(self.states_Ce[rows.to(self.states_Ce.device)], self.items, self._twins)
