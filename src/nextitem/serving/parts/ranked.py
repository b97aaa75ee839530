"""The best items of many users as arrays. C users, k items of a list, N items."""

from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from nextitem.compute.threads import side_by_side
from nextitem.data.log import Catalog
from nextitem.data.sequences import Sequences
from nextitem.evaluation.hiding import hidden
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Scorer

_ROWS = 512  # histories of a piece, which one thread encodes and ranks


@dataclass(frozen=True)
class Ranked:
    """The lists of C users."""

    items_Ck: Tensor
    """Indices, best first; −1 behind the end of a list that is shorter."""
    scores_Ck: Tensor
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
        is_there_Ck = self.items_Ck >= 0
        rows_E, places_E = is_there_Ck.nonzero(as_tuple=True)
        row, listed = _column(rows_E), _column(self.items_Ck[is_there_Ck])
        sources = pl.Series(["model", "popularity"])
        table = pl.DataFrame(
            {
                "user": users.gather(row),
                "rank": _column(places_E + 1),
                "item": items.ids.gather(listed),
                "score": _column(self.scores_Ck[is_there_Ck].double()),
                "source": sources.gather(_column(self.is_popular_C[rows_E].long())),
            }
        )
        return table if titles is None else table.with_columns(title=titles.gather(listed))


@dataclass(frozen=True)
class Ranker:
    """What makes lists of histories: a model, what is popular, and which items may be listed."""

    scorer: Scorer
    popularity: Scorer
    """Answers for histories without an item."""
    k: int
    hide: str
    """Which items of a history are left out: `history`, `nothing` or `last:n`."""
    allowed: Tensor | None = None
    """Indices of the items that may be listed; None: all of them."""

    def ranked(self, histories: Sequences) -> Ranked:
        """The list of each history, as `top_k` has it. Raises ScoreError where a score is NaN."""
        # Histories of like length side by side: a piece is padded to its longest, and pieces take like long in all.
        order_C = histories.lengths_U.argsort(descending=True, stable=True)
        is_empty_C = histories.lengths_U == 0
        known_C, empty_C = order_C.tensor_split([len(order_C) - int(is_empty_C.sum())])
        pieces = [
            (scorer, rows)
            for scorer, part in ((self.scorer, known_C), (self.popularity, empty_C))
            for rows in part.split(_ROWS)
            if len(rows)
        ]
        found = side_by_side(lambda piece: self._of_piece(piece[0], histories.select(piece[1])), pieces)
        none = (torch.zeros(0, self.k, dtype=torch.int64), torch.zeros(0, self.k))
        items_Ck, scores_Ck = (torch.cat(parts) for parts in zip(*(found or [none]), strict=True))
        back_C = order_C.argsort()
        return Ranked(items_Ck[back_C], scores_Ck[back_C], is_empty_C)

    def _of_piece(self, scorer: Scorer, histories: Sequences) -> tuple[Tensor, Tensor]:
        return top_k(scorer.query(histories), self.k, hidden(self.hide, histories), self.allowed)


def _column(numbers: Tensor) -> pl.Series:
    return pl.Series(numbers.numpy())
