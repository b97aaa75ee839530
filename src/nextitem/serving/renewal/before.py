"""The model before an update, asked in terms of the catalogue after it. C cases, N items now."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nextitem.data.log import Catalog, Log
from nextitem.data.sequences import NOBODY, Sequences
from nextitem.evaluation.scoring import Query
from nextitem.serving.known import Known


class Before:
    """A scorer: what was served until now. New items score −inf, and popularity answers what it knows nothing of."""

    def __init__(self, known: Known, log: Log) -> None:
        self.known = known
        self.old_of_N = known.items.lookup(log.items.ids)
        users = known.users or Catalog(log.users.ids.head(0))
        self.old_of_U = users.lookup(log.users.ids)

    def query(self, histories: Sequences) -> "BeforeQuery":
        """Scores after these histories, the items of which that are new being left out."""
        places = [self.old_of_N[torch.tensor(one, dtype=torch.int64)] for one in histories.tolist()]
        users_C = torch.where(histories.users_U < 0, NOBODY, self.old_of_U[histories.users_U.clamp(min=0)])
        read = [one[one >= 0].tolist() for one in places]
        times = None
        if self.known.reads_times:
            parts = histories.times().split(histories.lengths_U.tolist())
            times = [part[one >= 0].tolist() for part, one in zip(parts, places, strict=True)]
        views = replace(Sequences.of(read, len(self.known.items), times), users_U=users_C)
        is_known_C = views.lengths_U > 0
        if self.known.has_users:
            is_known_C &= users_C >= 0
        rows = is_known_C.nonzero()[:, 0], (~is_known_C).nonzero()[:, 0]
        answering = zip(rows, (self.known.scorer, self.known.popularity), strict=True)
        found = [(part, scorer.query(views.select(part))) for part, scorer in answering if len(part)]
        return BeforeQuery(len(views), self.old_of_N, found, len(self.old_of_N))


@dataclass
class BeforeQuery:
    """Scores of C histories by an earlier model; −inf of items that it does not know."""

    cases: int
    old_of_N: Tensor
    parts: list[tuple[Tensor, Query]]
    """Some rows each, and who answers them."""
    number_of_items: int

    def __len__(self) -> int:
        return self.cases

    def scores(self, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (C, stop − start)."""
        old = self.old_of_N[start:stop]
        found = torch.full((self.cases, stop - start), -torch.inf)
        is_old = old >= 0
        if bool(is_old.any()):
            first, last = int(old[is_old].min()), int(old[is_old].max()) + 1  # both catalogues are in order of ids
            for rows, query in self.parts:
                scores = query.scores(first, last).float()[:, old[is_old] - first]
                found[rows[:, None], is_old.nonzero()[:, 0]] = scores
        return found

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        """Scores of each history's own candidates, shape (C, K)."""
        old_CK = self.old_of_N[ids_CK]
        found = torch.full(ids_CK.shape, -torch.inf)
        for rows, query in self.parts:
            found[rows] = query.candidate_scores(old_CK[rows].clamp(min=0)).float()
        return found.masked_fill(old_CK < 0, -torch.inf)

    def select(self, rows: Tensor) -> "BeforeQuery":
        """The query for some of the histories."""
        rows = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        where_C = torch.full((self.cases,), -1)
        parts = []
        for own, query in self.parts:
            where_C.fill_(-1)
            where_C[own] = torch.arange(len(own))
            chosen = where_C[rows]
            if bool((chosen >= 0).any()):
                parts.append(((chosen >= 0).nonzero()[:, 0], query.select(chosen[chosen >= 0])))
        return BeforeQuery(len(rows), self.old_of_N, parts, self.number_of_items)
