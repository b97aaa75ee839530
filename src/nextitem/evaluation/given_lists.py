"""Lists that were made elsewhere, as a scorer: what is in no list scores −inf. E entries, U users, C cases, N items."""

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.sequences import Sequences


class GivenLists:
    """Scores every listed item as it was given, for whatever history of the user, and all others −inf.

    So what was not listed cannot be hit, and who has no list has no hit.
    """

    def __init__(self, users_E: Tensor, items_E: Tensor, scores_E: Tensor, number_of_items: int) -> None:
        """Of each entry user and item by their indices, each pair once, and a finite score: higher is better."""
        order_E = (users_E * number_of_items + items_E).argsort()
        self.users_E, self.items_E, self.scores_E = users_E[order_E], items_E[order_E], scores_E[order_E].double()
        self.number_of_items = number_of_items

    def query(self, histories: Sequences) -> "GivenListsQuery":
        """Scores for the users of these histories."""
        return GivenListsQuery(self, histories.users_U)


class GivenListsQuery:
    """The lists of the users of C cases."""

    def __init__(self, lists: GivenLists, users_C: Tensor) -> None:
        self.lists = lists
        self.users_C = users_C
        self.number_of_items = lists.number_of_items
        self.common_N = torch.full((lists.number_of_items,), -torch.inf, dtype=torch.float64)

    def __len__(self) -> int:
        return len(self.users_C)

    def own(self) -> tuple[Tensor, Tensor, Tensor]:
        """(rows_E, items_E, scores_E): what is listed for each case."""
        first_C = torch.searchsorted(self.lists.users_E, self.users_C)
        counts_C = torch.searchsorted(self.lists.users_E, self.users_C, right=True) - first_C
        rows_E, offsets_E = transfer.places(counts_C, int(counts_C.sum()))
        places_E = first_C[rows_E] + offsets_E
        return rows_E, self.lists.items_E[places_E], self.lists.scores_E[places_E]

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start) float64."""
        scores = self.common_N[start:stop].repeat(len(self), 1)
        rows_E, items_E, scores_E = self.own()
        is_here_E = (items_E >= start) & (items_E < stop)
        scores[rows_E[is_here_E], items_E[is_here_E] - start] = scores_E[is_here_E]
        return scores

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each case's own candidates, shape (C, K) float64."""
        rows_E, items_E, scores_E = self.own()
        keys_E = rows_E * self.number_of_items + items_E
        wanted_CK = torch.arange(len(self))[:, None] * self.number_of_items + ids_CK
        places_CK = torch.searchsorted(keys_E, wanted_CK).clamp(max=max(0, len(keys_E) - 1))
        scores_CK = torch.full(ids_CK.shape, -torch.inf, dtype=torch.float64)
        if len(keys_E):
            is_listed_CK = keys_E[places_CK] == wanted_CK
            scores_CK[is_listed_CK] = scores_E[places_CK[is_listed_CK]]
        return scores_CK

    def select(self, rows: Tensor) -> "GivenListsQuery":
        """The query for some of the cases (indices or a mask)."""
        return GivenListsQuery(self.lists, self.users_C[rows])
