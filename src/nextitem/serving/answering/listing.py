"""Lists put together of what is ranked: the best items, or some that are picked from more of them. P ranked items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.evaluation.hiding import Seen, SeenOrDisliked, hidden
from nextitem.evaluation.ranks import top_k
from nextitem.evaluation.scoring import Query
from nextitem.serving.answering.asked import Asked
from nextitem.serving.known import Known
from nextitem.serving.narrowing.narrowed import Picking
from nextitem.serving.narrowing.picking import picked
from nextitem.serving.question import Recommendation, Source

_MORE = 10  # times as many items are looked at where limits leave a list too short


@dataclass(frozen=True)
class Listed:
    """Items by index, best first."""

    items: list[int]
    scores: list[float]
    passed_over: int = 0
    """Items that were left out on the way, because a category of theirs had enough."""

    def first(self, k: int) -> "Listed":
        """The best k of them."""
        return Listed(self.items[:k], self.scores[:k])


def views(items: Sequence[Sequence[int]], number_of_items: int, times: Sequence[Sequence[float]] | None) -> Sequences:
    """Views over lists of indices that were looked up: what `Sequences.of` makes, which would look at each again."""
    lengths_C = torch.tensor([len(one) for one in items], dtype=torch.int64)
    flat = torch.tensor([*chain.from_iterable(items)], dtype=torch.int64)
    seconds = None if times is None else torch.tensor([*chain.from_iterable(times)], dtype=torch.float64)
    stops_C = lengths_C.cumsum(0)
    return Sequences(Events(flat, number_of_items, seconds), stops_C - lengths_C, stops_C, torch.arange(len(items)))


def ranked(query: Query, most: int, seen: Seen | None, allowed: Tensor | None) -> list[Listed]:
    """The `most` best items after each history of a query, fewer where there are not as many."""
    items_CP, scores_CP = top_k(query, min(most, query.number_of_items), seen, allowed)
    found = [[item for item in items if item >= 0] for items in items_CP.tolist()]
    return [Listed(items, scores[: len(items)]) for items, scores in zip(found, scores_CP.tolist(), strict=True)]


def lists_after(
    known: Known, query: Query, picking: Picking, k: int, seen: Seen | None, allowed: Tensor | None
) -> list[Listed]:
    """A list of at most k for each history of a query: the best items, or some that are picked from more of them."""
    found = ranked(query, picking.pool(k), seen, allowed)
    if picking.takes_the_best:
        return found
    return [
        pick(known, picking, k, best, _more(query, place, seen, allowed)).first(k) for place, best in enumerate(found)
    ]


def pick(known: Known, picking: Picking, k: int, best: Listed, more: Callable[[int], Listed]) -> Listed:
    """A list of k that is picked from the best items; `more` ranks so many, where limits leave it too short."""
    most = picking.pool(k)
    best = best.first(most)

    def likeness(items: Sequence[int]) -> npt.NDArray[np.float64]:
        items_P = torch.tensor([*items])
        cosines_PP = known.alikeness.query(items_P).candidate_scores(items_P.expand(len(items_P), -1)).double()
        return np.asarray(cosines_PP.masked_fill(cosines_PP == -torch.inf, 0.0).numpy())

    while True:
        found = picked(best.items, best.scores, k, picking.diversity, likeness, picking.limits)
        if len(found.places) == k or len(best.items) < most:
            items, scores = [best.items[at] for at in found.places], [best.scores[at] for at in found.places]
            return Listed(items, scores, found.passed_over)
        most *= _MORE
        best = more(most)


def recommendation(known: Known, item: int, score: float, source: Source) -> Recommendation:
    """What is told of an item that is listed."""
    is_cold = known.is_cold_N is not None and bool(known.is_cold_N[item])
    return Recommendation(known.raw_items[item], score, source, known.item_titles[item], is_cold)


def recommendations(known: Known, listed: Listed, source: Source) -> list[Recommendation]:
    """The items of a list by their raw ids, with titles."""
    return [recommendation(known, item, score, source) for item, score in zip(listed.items, listed.scores, strict=True)]


def lists_of(
    known: Known, asked: Asked, k: int, allowed: Tensor | None, hide: str, picking: Picking
) -> list[list[Recommendation]]:
    """The lists of many who are asked about on the same terms; empty ones of users that are unknown."""
    histories, lists = asked.histories, [list[Recommendation]() for _ in range(len(asked.histories))]
    is_empty_C = histories.lengths_U == 0
    sources: tuple[tuple[Source, Tensor], ...] = (
        ("model", ~is_empty_C),
        ("popularity", is_empty_C & ~asked.is_unknown_C),
    )
    for source, rows in sources:
        part = histories.select(rows)
        if not len(part):
            continue
        query = (known.scorer if source == "model" else known.popularity).query(part)
        seen = left_out(hide, part, None if asked.disliked is None else asked.disliked.select(rows))
        found = lists_after(known, query, picking, k, seen, allowed)
        for row, listed in zip(rows.nonzero()[:, 0].tolist(), found, strict=True):
            lists[row] = recommendations(known, listed, source)
    return lists


def left_out(hide: str, histories: Sequences, disliked: Sequences | None) -> Seen | None:
    """What is in no list: items of the histories as `hide` says, and what their users said no to beside these."""
    seen = hidden(hide, histories)
    if disliked is None:
        return seen
    return disliked if seen is None else SeenOrDisliked(seen, disliked)


def _more(query: Query, place: int, seen: Seen | None, allowed: Tensor | None) -> Callable[[int], Listed]:
    """What ranks more items of one row."""
    row = torch.tensor([place])
    return lambda most: ranked(query.select(row), most, None if seen is None else seen.select(row), allowed)[0]
