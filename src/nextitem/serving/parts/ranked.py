"""The best items of many users as arrays. C users, k items of a list, N items."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import torch
from torch import Tensor

from nextitem.compute.threads import side_by_side
from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.evaluation.hiding import Seen
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Query, Scorer
from nextitem.serving.answering.listing import left_out, lists_after
from nextitem.serving.known import Known
from nextitem.serving.narrowing.narrowed import Picking

_ROWS = 512  # histories of a piece, which one thread encodes and ranks


@dataclass(frozen=True)
class Ranked:
    """The lists of C users."""

    items_Ck: Tensor
    """Indices, best first; −1 behind the end of a list that is shorter."""
    scores_Ck: Tensor
    """Float64."""
    is_popular_C: Tensor
    """Whose list is that of the most popular items, since the model knows nothing of theirs."""

    @property
    def lengths_C(self) -> Tensor:
        """How many items each list has."""
        return (self.items_Ck >= 0).sum(1)

    def table(self, users: pl.Series, items: Catalog, titles: pl.Series | None) -> pl.DataFrame:
        """One row per recommendation: user, rank (from 1), item, score, source and, with `titles`, title.

        `users` are raw ids of the C users, `titles` those of the N items in the order of the catalogue.
        """
        # By numpy, which finds and takes these in a tenth of the time that torch's threads need for it.
        all_items = self.items_Ck.numpy().ravel()
        there_E = np.flatnonzero(all_items >= 0)
        row_E = there_E // self.items_Ck.shape[1]
        row, listed = pl.Series(row_E), pl.Series(all_items[there_E])
        sources = pl.Series(["model", "popularity"])
        table = pl.DataFrame(
            {
                "user": users.gather(row),
                "rank": pl.Series(there_E - row_E * self.items_Ck.shape[1] + 1),
                "item": items.ids.gather(listed),
                "score": pl.Series(self.scores_Ck.numpy().ravel()[there_E]),
                "source": sources.gather(pl.Series(self.is_popular_C.numpy().astype(np.int64)[row_E])),
            }
        )
        return table if titles is None else table.with_columns(title=titles.gather(listed))


@dataclass(frozen=True)
class Ranker:
    """What makes lists of histories: a model, which items may be listed, and how they are picked."""

    known: Known
    k: int
    hide: str
    """Which items of a history are left out: `history`, `nothing` or `last:n`."""
    allowed: Tensor | None = None
    """Indices of the items that may be listed; None: all of them."""
    picking: Picking = field(default_factory=Picking)
    """Whether lists are the best items, or some of more that differ or keep within limits."""

    def ranked(self, histories: Sequences, disliked: Sequences | None = None) -> Ranked:
        """The list of each history, as `recommend` makes it. Raises ScoreError where a score is NaN.

        What is `disliked` per history is left out beside what is hidden of it.
        """
        # Histories of like length side by side: a piece is padded to its longest, and pieces take like long in all.
        order_C = histories.lengths_U.argsort(descending=True, stable=True)
        is_empty_C = histories.lengths_U == 0
        known_C, empty_C = order_C.tensor_split([len(order_C) - int(is_empty_C.sum())])
        pieces = [
            (scorer, rows)
            for scorer, part in ((self.known.scorer, known_C), (self.known.popularity, empty_C))
            for rows in part.split(_ROWS)
            if len(rows)
        ]

        # Filled in by whoever ranks a piece: nobody has to wait for all of them to be put together.
        items_Ck = torch.empty(len(order_C), self.k, dtype=torch.int64)
        scores_Ck = torch.empty(len(order_C), self.k, dtype=torch.float64)

        def rank(piece: tuple[Scorer, Tensor]) -> None:
            scorer, rows = piece
            own = histories.select(rows)
            seen = left_out(self.hide, own, None if disliked is None else disliked.select(rows))
            items_Rk, scores_Rk = self._of_query(scorer.query(own), seen)
            items_Ck[rows], scores_Ck[rows] = items_Rk, scores_Rk.double()

        side_by_side(rank, pieces)
        return Ranked(items_Ck, scores_Ck, is_empty_C)

    def _of_query(self, query: Query, seen: Seen | None) -> tuple[Tensor, Tensor]:
        if self.picking.takes_the_best:
            return top_k(query, self.k, seen, self.allowed)
        lists = lists_after(self.known, query, self.picking, self.k, seen, self.allowed)
        missing = [self.k - len(one.items) for one in lists]
        items_Ck = torch.tensor([[*one.items, *[-1] * less] for one, less in zip(lists, missing, strict=True)])
        scores_Ck = torch.tensor(
            [[*one.scores, *[0.0] * less] for one, less in zip(lists, missing, strict=True)], dtype=torch.float64
        )
        return items_Ck, scores_Ck
