"""Lists for many at once, in memory or in files, with an account of who gets none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from nextitem.compute.spread import HERE, Spread
from nextitem.compute.waiting import Say, silent
from nextitem.evaluation.hiding import checked
from nextitem.serving.ids import RawId
from nextitem.serving.narrowing.narrowed import picking_of
from nextitem.serving.parts.batch import Batch, Terms, named
from nextitem.serving.parts.ranked import Ranker
from nextitem.serving.parts.writing import Wanted, Written, write_lists
from nextitem.serving.question import Recommendation
from nextitem.serving.recommender import Recommender
from nextitem.settings.given import whole_number
from nextitem.words import counted


@dataclass(frozen=True)
class Served:
    """A list for each of C users, and what there is to say about them."""

    batch: Batch
    lists: Sequence[Sequence[Recommendation]]
    """One of each; empty where nothing was left to recommend."""
    k: int
    """How many items of each were asked for."""
    notes: tuple[str, ...] = ()
    """What was left out, and who gets no list or the most popular items, in words."""

    @property
    def without(self) -> list[RawId]:
        """Users of whom nothing was left to recommend."""
        return [owner for owner, ones in zip(self.batch.owners, self.lists, strict=True) if not ones]

    @property
    def users(self) -> int:
        """How many were asked about."""
        return len(self.lists)

    @property
    def shorter(self) -> int:
        """Users with a list that is shorter than was asked for."""
        return sum(0 < len(ones) < self.k for ones in self.lists)

    @property
    def by_popularity(self) -> int:
        """How many users get the most popular items, since nothing is known of theirs."""
        return sum(bool(ones) and ones[0].source == "popularity" for ones in self.lists)


def serve(recommender: Recommender, batch: Batch, terms: Terms) -> Served:
    """The lists, all of them in memory."""
    lists = recommender.answered(
        batch.asked, terms.k, terms.allowed, hide=terms.hide, diversity=terms.diversity, limits=terms.limits
    )
    served = Served(batch, lists, terms.k)
    about = _on_lists(served, terms, terms.hide or recommender.hide)
    return replace(served, notes=(*batch.notes, *about))


def write(
    recommender: Recommender,
    batch: Batch,
    terms: Terms,
    out: Path,
    *,
    made_by: str,
    titles: pl.Series | None = None,
    say: Say = silent,
    spread: Spread = HERE,
) -> tuple[Written, tuple[str, ...]]:
    """(what was written, notes): the lists that `serve` makes, of which memory holds a part.

    `made_by` stands for the recommender: what was begun by another one is not gone on with. `titles` are those of its
    items, and `spread` is what computes the parts. Raises as `write_lists` does.
    """
    hide = checked(terms.hide or recommender.hide)
    k = min(whole_number(terms.k, "k", "the number of recommendations", least=1), len(recommender.items))
    picking = picking_of(recommender.known, terms.diversity, terms.limits)
    ranker = Ranker(recommender.known, k, hide, terms.allowed, picking)
    written = write_lists(Wanted(ranker, batch, recommender.items, titles, terms.k, made_by), out, say, spread)
    about = _on_lists(written, terms, hide)
    return written, (*batch.notes, *about)


def _on_lists(found: Served | Written, terms: Terms, hide: str) -> list[str]:
    notes, without, by_popularity = [], found.without, found.by_popularity
    if without:
        seen = "has seen" if len(without) == 1 else "have seen"
        reason = "all items that may be recommended" if terms.allowed is not None else "all items"
        gets = "gets" if len(without) == 1 else "get"
        why = f"{seen} {reason}" if hide == "history" else "there is nothing else that may be recommended"
        notes.append(f"{counted(len(without), 'user')} {gets} no list ({why}): {named(without)}")
    if found.shorter:
        gets = "gets" if found.shorter == 1 else "get"
        limits = " within the limits" if terms.limits else ""
        notes.append(
            f"{counted(found.shorter, 'user')} {gets} fewer than {counted(terms.k, 'item')}: no more may be recommended"
            f"{limits}"
        )
    if by_popularity:
        gets, theirs = ("gets", "that user's") if by_popularity == 1 else ("get", "their")
        notes.append(
            f"{by_popularity:,} of {counted(found.users, 'user')} {gets} the most popular items: the "
            f"model knows none of {theirs} items"
        )
    return notes
