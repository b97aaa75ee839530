"""Whose lists are made, after which events, and what of that the run does not know. C users."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl
from torch import Tensor

from nextitem.data.interactions import Interactions
from nextitem.data.log import Catalog
from nextitem.errors import DataError
from nextitem.serving.answering.asked import Asked
from nextitem.serving.answering.news import News
from nextitem.serving.ids import RawId
from nextitem.serving.recommender import Recommender
from nextitem.words import counted

_NAMED = 5  # ids that a note names; what there is beside them is counted


@dataclass(frozen=True)
class Terms:
    """How lists are made, and what becomes of ids that the run does not know."""

    k: int = 10
    allowed: Tensor | None = None
    """Indices of the items that may be listed; None: all of them."""
    hide: str | None = None
    """Which items of the history are left out, such as `last:5`; None: as in training."""
    refuse_unknown: bool = False
    """Whether unknown ids are an error; otherwise they are left out, counted and named."""
    histories_only: bool = False
    """Whether what is stored of a known user is left out of account where events of that user are given."""
    diversity: float = 0.0
    """From 0 to 1: the weight of how items of a list differ, beside how relevant they are."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """By column, how many items of each of its values a list may hold."""


@dataclass(frozen=True)
class Batch:
    """Who is answered on the same terms, and what there is to say about the others."""

    owners: pl.Series
    """Raw ids of the C users, in the order of their lists."""
    asked: Asked
    """Their histories."""
    strangers: tuple[RawId, ...] = ()
    """Who was asked about as well and gets no list, since the run does not know whose history that is."""
    notes: tuple[str, ...] = ()
    """What was left out, and what is gone by, in words."""


def batch_of_users(recommender: Recommender, users: pl.Series | None, terms: Terms) -> Batch:
    """Users of the run with their stored histories, None: all users. Raises DataError where none is known."""
    catalogue = recommender.stored_users()
    wanted = catalogue.ids if users is None else users
    owners, notes = _known(wanted, "user", catalogue, terms)
    strangers = tuple(wanted.filter(_is_unknown(wanted, catalogue)).to_list())
    return Batch(owners, recommender.asked(users=owners), strangers, notes)


def batch_of_events(
    recommender: Recommender,
    events: Interactions,
    terms: Terms,
    *,
    row_of: Callable[[int], object],
    is_for_known_users: bool = False,
) -> Batch:
    """The users of these events, which go on from what the run has stored of them.

    `row_of` tells where an event stands in its file, for messages. A model that `is_for_known_users` has vectors of the
    users of the run, and nobody else is served. Raises DataError where nobody is left, or an id must not be unknown.
    """
    news = News.of(events, recommender.kinds, row_of)
    news = replace(news, users=news.users.sort())
    notes, strangers = tuple[str, ...](), tuple[RawId, ...]()
    if is_for_known_users:
        catalogue = recommender.stored_users()
        _, notes = _known(news.users, "user", catalogue, terms)
        is_out = _is_unknown(news.users, catalogue)
        strangers, news = tuple(news.users.filter(is_out).to_list()), news.for_users(news.users.filter(~is_out))
    grouped = news.by_user()
    asked = recommender.asked(
        grouped["item"],
        times=grouped["time"] if "time" in grouped.columns else None,
        users=grouped["user"] if recommender.users is not None else None,
        changes=news.changes(recommender.items),
        histories_only=terms.histories_only and recommender.users is not None,
        unknown="drop",
    )
    notes += _on_unknown_events(asked, grouped, recommender.items, terms, row_of)
    notes += _on_continued(asked, len(grouped), recommender, terms)
    return Batch(grouped["user"], asked, strangers, notes)


def known_items(
    ids: pl.Series, where: str, recommender: Recommender, terms: Terms
) -> tuple[pl.Series, tuple[str, ...]]:
    """(those of the ids that the run knows, notes on the others); `where` they were given, in words.

    Raises DataError where all of them are unknown, or some that must not be.
    """
    return _known(ids, "item", recommender.items, terms, f" of {where}")


def _on_unknown_events(
    asked: Asked, grouped: pl.DataFrame, items: Catalog, terms: Terms, row_of: Callable[[int], object]
) -> tuple[str, ...]:
    if not asked.unknown:
        return ()
    places = []
    for one in asked.unknown[:_NAMED]:
        user, row = grouped["user"][one.history], row_of(int(grouped["event"][one.history][one.place]))
        places.append(f"row {row}, user {user!r}, item {one.item!r}{items.hint(one.item)}")
    events = int(grouped["item"].list.len().sum())
    more = f"; and {len(asked.unknown) - _NAMED:,} more" if len(asked.unknown) > _NAMED else ""
    are = "is of an item" if len(asked.unknown) == 1 else "are of items"
    fact = (
        f"{len(asked.unknown):,} of {counted(events, 'event')} {are} that the model does not know: "
        f"{'; '.join(places)}{more}"
    )
    return (_refused_or_noted(fact, terms),)


def _on_continued(asked: Asked, users: int, recommender: Recommender, terms: Terms) -> tuple[str, ...]:
    if recommender.users is None:
        return ("the run has no histories of its users stored: the events of the file are all that is gone by",)
    if terms.histories_only:
        return ("stored histories are left out (--histories-only): the events of the file are all that is gone by",)
    if not asked.continued:
        who = "the user is not known" if users == 1 else f"none of the {users:,} users is known"
        return (f"{who}: the events of the file are all that is gone by",)
    order = "in order of time" if asked.histories.has_times else "their events after the stored ones"
    parts = [
        f"the histories of {asked.continued:,} of {counted(users, 'user')} go on from what the run has stored of them, "
        f"{order} (--histories-only leaves stored ones out)"
    ]
    if asked.contained:
        parts.append(f"{asked.contained:,} of them begin with all stored events, which are not counted twice")
    if asked.again:
        parts.append(f"{counted(asked.again, 'event')} with item and time of a stored one are not counted twice")
    if asked.put_before:
        parts.append(f"{counted(asked.put_before, 'event')} older than the newest stored one stand before it")
    return ("; ".join(parts),)


def _known(
    ids: pl.Series, what: str, catalogue: Catalog, terms: Terms, where: str = ""
) -> tuple[pl.Series, tuple[str, ...]]:
    positions = catalogue.lookup(ids)
    unknown = ids.filter(_is_unknown(ids, catalogue)).to_list()
    if not unknown:
        return catalogue.raw(positions), ()
    are = "is" if len(unknown) == 1 else "are"
    fact = f"{len(unknown):,} of {counted(len(ids), what)}{where} {are} unknown to the run: {named(unknown, catalogue)}"
    if len(unknown) == len(ids):
        raise DataError(f"{fact}; give ids as they stand in the log of the run, or the path of a file of them")
    return catalogue.raw(positions[positions >= 0]), (_refused_or_noted(fact, terms),)


def _refused_or_noted(fact: str, terms: Terms) -> str:
    if terms.refuse_unknown:
        raise DataError(f"{fact}; refit with them, or leave --refuse-unknown out to be served without them")
    return f"{fact}; left out (--refuse-unknown makes this an error)"


def _is_unknown(ids: pl.Series, catalogue: Catalog) -> pl.Series:
    return pl.Series((catalogue.lookup(ids) < 0).numpy())


def named(ids: Sequence[RawId], catalogue: Catalog | None = None) -> str:
    """The first of these ids, with what else they may have meant, and how many there are beside them."""
    first = [f"{raw!r}{'' if catalogue is None else catalogue.hint(raw)}" for raw in ids[:_NAMED]]
    return ", ".join(first) + (f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else "")
