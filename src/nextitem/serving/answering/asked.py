"""Whose next items are asked for, and after which events. C histories are answered, N items are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress, pairwise

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.log import Catalog
from nextitem.data.sequences import NOBODY, Sequences
from nextitem.errors import DataError
from nextitem.serving.answering.joined import Retraction, Stored, joined, still_disliked
from nextitem.serving.answering.news import Changes
from nextitem.serving.ids import RawId, column_of, ids_of
from nextitem.settings.given import listed, real_number


@dataclass(frozen=True)
class UnknownEvent:
    """An event of an item that the model does not know."""

    history: int
    """Which history it is in, from 0."""
    place: int
    """Which of its events it is, from 0."""
    item: RawId


@dataclass(frozen=True)
class Given:
    """New events, as they were given, of items that are known."""

    items: list[list[int]]
    """Indices of items per history, oldest first."""
    seconds: list[list[float]] | None
    """When they happened, in unix seconds."""
    unknown: list[UnknownEvent]

    @classmethod
    def of(cls, histories: object, times: object, items: Catalog) -> "Given":
        """What is known of the given events. Raises ConfigurationError and DataError for what are no histories."""
        raw = [
            ids_of(history, f"histories[{number}]").to_list()
            for number, history in enumerate(listed(histories, "histories"))
        ]
        flat = column_of([item for history in raw for item in history])
        parts = items.lookup(flat).split([len(history) for history in raw])
        unknown = [
            UnknownEvent(number, place, raw[number][place])
            for number, part in enumerate(parts)
            for place in (part < 0).nonzero()[:, 0].tolist()
        ]
        known = [(part >= 0).tolist() for part in parts]
        seconds = None
        if times is not None:
            checked = _checked_times(times, [len(history) for history in raw])
            seconds = [list(compress(own, is_known)) for own, is_known in zip(checked, known, strict=True)]
        return cls([part[part >= 0].tolist() for part in parts], seconds, unknown)

    def require_known(self, items: Catalog) -> None:
        """Raise DataError, naming the first of them, where an item is unknown."""
        if self.unknown:
            first = self.unknown[0]
            raise DataError(
                f"item {first.item!r} (history {first.history + 1}, event {first.place + 1}) is not among the "
                f"{len(items):,} items that the model knows{items.hint(first.item)}; refit with it, or leave unknown "
                f"items out by unknown='drop' (here {len(self.unknown):,} events)"
            )


def _checked_times(times: object, lengths: Sequence[int]) -> list[list[float]]:
    """The times of each event. Raises DataError where there is not one for each, or where they go back."""
    given = [listed(own, f"times[{number}]") for number, own in enumerate(listed(times, "times"))]
    if [len(own) for own in given] != [*lengths]:
        raise DataError("times and histories are of different lengths; give one time, in unix seconds, for each event")
    checked = []
    for number, own in enumerate(given):
        name = f"times[{number}]"
        seconds = [real_number(one, f"{name}[{n}]", "a time, in unix seconds,") for n, one in enumerate(own)]
        if any(later < earlier for earlier, later in pairwise(seconds)):
            raise DataError(f"{name} go back; histories are given oldest event first, and so are their times")
        checked.append(seconds)
    return checked


@dataclass(frozen=True)
class Asked:
    """The histories that are answered, and what became of the events that were given."""

    histories: Sequences
    """Known items alone; of nobody (`NOBODY`) where whose they are is unknown or was not said."""
    is_unknown_C: Tensor
    """Which are those of users that were asked about without a history and are unknown: they get no list."""
    unknown: tuple[UnknownEvent, ...] = ()
    """Given events of items that the model does not know: they are left out."""
    continued: int = 0
    """How many histories go on from a stored one."""
    contained: int = 0
    """How many of these hold their stored one already, from its first event on, and stand for themselves."""
    again: int = 0
    """Given events with item and time of a stored one, which are that event."""
    put_before: int = 0
    """Given events that are older than the newest stored one of their user, and were put in their place."""
    disliked: Sequences | None = None
    """Per history what its user said no to, beside what the histories know of that; None: nothing is."""


def of_stored(users_C: Tensor, stored: Sequences) -> Asked:
    """The stored histories of these users; an empty one of nobody."""
    is_unknown_C = users_C == NOBODY
    views = stored.select(users_C.clamp(min=0))
    stops_C = torch.where(is_unknown_C, views.starts_U, views.stops_U)
    return Asked(replace(views, stops_U=stops_C, users_U=users_C), is_unknown_C)


def given_alone(given: Given, users_C: Tensor, number_of_items: int, changes: Changes | None = None) -> Asked:
    """The given events and nothing else, of these users; C indices, `NOBODY` where there is none."""
    histories = _of_users(given.items, given.seconds, users_C, number_of_items)
    disliked = None if changes is None else Sequences.of(changes.disliked, number_of_items)
    is_unknown_C = torch.zeros_like(users_C, dtype=torch.bool)
    return Asked(histories, is_unknown_C, tuple(given.unknown), disliked=disliked)


def continued(given: Given, users_C: Tensor, stored: Sequences, changes: Changes | None = None) -> Asked:
    """The stored histories of these users, each with its given events after it, and without what was taken back.

    Where both have times, all events of a user are put in the order of time, stored ones first where times are equal.
    Where they have not, given events are later than all stored ones, unless they begin with the whole stored history:
    then they are an export of all events, and stand for themselves.
    """
    has_times = stored.has_times and given.seconds is not None
    seconds = given.seconds if has_times and given.seconds is not None else [[0.0] * len(new) for new in given.items]
    new = [[*zip(*own, strict=True)] for own in zip(seconds, given.items, strict=True)]
    known = _stored_of(stored, users_C, has_times)
    disliked_C, taken_back = _disliked(stored, users_C, changes)
    happened = [()] * len(new) if changes is None else changes.happened
    histories = [joined(*each) for each in zip(known, new, happened, taken_back, strict=True)]
    items = [[item for _, item in one.events] for one in histories]
    times = [[second for second, _ in one.events] for one in histories] if has_times else None
    return Asked(
        _of_users(items, times, users_C, stored.number_of_items),
        torch.zeros_like(users_C, dtype=torch.bool),
        tuple(given.unknown),
        continued=sum(one.is_continued for one in histories),
        contained=sum(one.is_contained for one in histories),
        again=sum(one.again for one in histories),
        put_before=sum(one.put_before for one in histories),
        disliked=disliked_C,
    )


def _disliked(
    stored: Sequences, users_C: Tensor, changes: Changes | None
) -> tuple[Sequences | None, Sequence[Sequence[Retraction]]]:
    """(what these users said no to until now, what is taken back of each one's stored events)."""
    before = of_stored(users_C, stored).histories.disliked()
    if changes is None:
        return before, [()] * len(users_C)
    old = [list[int]() for _ in users_C] if before is None else before.tolist()
    found = [still_disliked(*each) for each in zip(old, changes.taken_back, changes.no_longer, strict=True)]
    disliked = [[*left, *new] for (left, _), new in zip(found, changes.disliked, strict=True)]
    return Sequences.of(disliked, stored.number_of_items), [taken_back for _, taken_back in found]


def _stored_of(stored: Sequences, users_C: Tensor, has_times: bool) -> list[Stored]:
    """The stored events of each user, none of nobody; all at time 0 where times are not asked for."""
    is_known_C = users_C != NOBODY
    views = stored.select(users_C[is_known_C])
    rows, offsets = transfer.places(views.lengths_U, int(views.sizes_U.sum()))
    places = views.starts_U[rows] + offsets
    seconds = views.events.times_at(places).tolist() if has_times else [0.0] * len(places)
    events = [*zip(seconds, views.at(places).tolist(), strict=True)]
    weights = views.weights().tolist() if stored.has_weights else [1.0] * len(places)
    stops = views.lengths_U.cumsum(0).tolist()
    found = (slice(*each) for each in zip([0, *stops], stops, strict=False))
    each = [next(found) if is_known else slice(0) for is_known in is_known_C.tolist()]
    return [Stored(events[own], weights[own], has_times) for own in each]


def _of_users(
    items: list[list[int]], seconds: list[list[float]] | None, users_C: Tensor, number_of_items: int
) -> Sequences:
    # Whose history it is must be said: it would be taken for that of the first users of the training log.
    return replace(Sequences.of(items, number_of_items, seconds), users_U=users_C)
