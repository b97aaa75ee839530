"""A question in the model's own numbers: the history that is read, whose it is, and what of it is left out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from typing import TypeVar

import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import NOBODY
from nextitem.errors import DataError
from nextitem.evaluation.hiding import latest
from nextitem.serving.answering.joined import Joined, Stored, joined, still_disliked
from nextitem.serving.answering.meaning import Meant, meant
from nextitem.serving.ids import RawId
from nextitem.serving.known import Known
from nextitem.serving.question import Question, Terms
from nextitem.settings.given import listed, real_number, whole_number, word_of, yes_or_no

T = TypeVar("T")


@dataclass(frozen=True)
class Heard:
    """What a question says, as indices of items."""

    question: Question
    items: list[int]
    """The history that is read, stored events included, oldest first."""
    times: list[float] | None
    """When these were, in unix seconds, where the model reads that."""
    user: int
    """The index of the user, `NOBODY` of one that is not known or not named."""
    seen: list[int]
    """Items of the history that are not listed again."""
    disliked: list[int]
    unknown: tuple[RawId, ...] = ()
    """Items of the history that are not known."""
    is_stranger: bool = False
    """Whether a user is named that is not known."""
    continued: bool = False
    """Whether the history goes on from a stored one."""
    told: ItemFeatures | None = None
    """What the question tells of its user, as a row."""


def hear(known: Known, question: Question) -> Heard:
    """What the question says. Raises ConfigurationError and DataError, with the remedy, for what cannot be answered."""
    terms = question.terms
    whole_number(question.k, "k", "the number of recommendations", least=1)
    word_of(terms.unknown, "unknown", ("error", "drop"))
    yes_or_no(terms.histories_only, "histories_only")
    hidden = latest(known.hide if terms.hide is None else terms.hide)
    user, is_stranger = _user(known, question)
    new, unknown = _events(known, question)
    events, disliked, has_times, continued = new.events, new.disliked, question.times is not None, False
    if user != NOBODY and not (terms.histories_only and question.history):
        has_times = known.stored()[1].has_times and (has_times or not question.history)
        both, disliked = _after(known, user, new, has_times, are_later=question.are_later)
        events, continued = both.events, both.is_continued
    history = [item for _, item in events]
    times = [second for second, _ in events] if has_times else None
    seen = history if hidden is None else history[max(len(history) - hidden, 0) :]
    if known.has_users and is_stranger and terms.unknown == "drop":
        history, times = [], None  # there is no vector to read it with: what is popular beside it is the answer
    _check_readable(known, history, times, user)
    told = None if question.features is None else known.told.row(question.features)
    return Heard(question, history, times, user, seen, disliked, unknown, is_stranger, continued, told)


def _user(known: Known, question: Question) -> tuple[int, bool]:
    """(index of the user, whether one is named that is not known). Raises DataError where that must not be."""
    if question.user is None:
        return NOBODY, False
    if question.is_new:
        return NOBODY, True
    if known.users is None:
        if not question.history:
            known.stored()  # says what is missing
        return NOBODY, True
    user = known.user_places.of(question.user, "user", 0)
    if user < 0 and question.terms.unknown == "error":
        raise DataError(
            f"user {question.user!r} is not among the {len(known.users):,} users of this catalogue"
            f"{known.users.hint(question.user)}; give a history, or be answered by popularity with unknown='drop'"
        )
    return max(user, NOBODY), user < 0


def _events(known: Known, question: Question) -> tuple[Meant, tuple[RawId, ...]]:
    """(what the events of the question mean, items that are not known)."""
    raw: Sequence[RawId] = _list(question.history, "history")
    places = known.item_places.of_each(raw, "history")
    times = None if question.times is None else _times(_list(question.times, "times"), len(raw))
    kinds = None if question.kinds is None else _kinds(_list(question.kinds, "kinds"), len(raw))
    unknown = tuple(one for one, place in zip(raw, places, strict=True) if place < 0) if -1 in places else ()
    if unknown:
        _refuse_unknown(known, question.terms, raw, places)
        is_known = [place >= 0 for place in places]
        times = None if times is None else [*compress(times, is_known)]
        kinds = None if kinds is None else [*compress(kinds, is_known)]
        places = [*compress(places, is_known)]
    if kinds is not None:
        return meant(places, kinds, times, known.kinds), unknown
    return Meant([*zip(times or [0.0] * len(places), places, strict=True)]), unknown


def _after(known: Known, user: int, new: Meant, has_times: bool, *, are_later: bool) -> tuple[Joined, list[int]]:
    """(the events of a user, stored and given ones as one, what that user dislikes)."""
    histories = known.stored()[1]
    span = torch.arange(int(histories.starts_U[user]), int(histories.stops_U[user]))
    items = histories.events.items_at(span).tolist()
    seconds = histories.events.times_at(span).tolist() if has_times else [0.0] * len(items)
    weights = histories.events.weights_at(span).tolist() if new.taken_back else [1.0] * len(items)
    views = None if histories.events.dislikes is None else histories.select(torch.tensor([user])).disliked()
    before = [] if views is None else views.tolist()[0]
    disliked, taken_back = still_disliked(before, new.taken_back, new.no_longer)
    stored = Stored([*zip(seconds, items, strict=True)], weights, has_times)
    both = joined(stored, new.events, new.happened, taken_back, are_later=are_later)
    return both, [*disliked, *new.disliked]


def _list(values: Sequence[T], name: str) -> Sequence[T]:
    return values if type(values) is tuple or type(values) is list else listed(values, name)


def _times(times: Sequence[float], events: int) -> list[float]:
    """The times of the events. Raises DataError where there is not one for each, or where they go back."""
    if len(times) != events:
        raise DataError(
            f"{len(times):,} times and {events:,} events in history; give one time, in unix seconds, for each event"
        )
    seconds = [
        one
        if type(one) is float and math.isfinite(one)
        else real_number(one, f"times[{place}]", "a time, in unix seconds,")
        for place, one in enumerate(times)
    ]
    if any(later < earlier for earlier, later in pairwise(seconds)):
        raise DataError("times go back; a history is given oldest event first, and so are its times")
    return seconds


def _kinds(kinds: Sequence[str | None], events: int) -> list[str | None]:
    if len(kinds) != events:
        raise DataError(f"{len(kinds):,} kinds and {events:,} events in history; give the kind of each event")
    return [*kinds]


def _refuse_unknown(known: Known, terms: Terms, raw: Sequence[RawId], places: Sequence[int]) -> None:
    """Raises DataError, naming the first of them, where items of the history must not be unknown."""
    if terms.unknown == "drop":
        return
    unknown = [place for place, index in enumerate(places) if index < 0]
    first = raw[unknown[0]]
    raise DataError(
        f"item {first!r} (event {unknown[0] + 1} of history) is not among the {len(known.items):,} items that the "
        f"model knows{known.items.hint(first)}; refit with it, or leave unknown items out by unknown='drop' (here "
        f"{len(unknown):,} events)"
    )


def _check_readable(known: Known, items: Sequence[int], times: Sequence[float] | None, user: int) -> None:
    """Raises DataError for a history that the model cannot read although it has items."""
    if items and known.reads_times and times is None:
        raise DataError(
            "the model reads when events were, and these have no times; give times, in unix seconds, one for each "
            "event of history"
        )
    if items and known.has_users and user == NOBODY:
        raise DataError(
            "the model has a vector for each user that it was trained on, and the history is of none of them; name a "
            "known user, or use a model that goes by histories alone"
        )
