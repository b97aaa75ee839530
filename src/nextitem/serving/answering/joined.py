"""A user's stored history and the given events as one. An event is (unix seconds, item), the item by its index."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Event = tuple[float, int]


@dataclass(frozen=True)
class Retraction:
    """What a given event takes back that was before all given events: the latest that fits."""

    item: int
    weight: float | None = None
    """What it weighs: a run keeps that of its events, and not of which kind they are. None: any event, or a dislike."""
    seconds: float | None = None
    """When that was said, in unix seconds: what is later stays. None: it is not known."""


@dataclass(frozen=True)
class Happened:
    """A given event that was in the history once."""

    item: int
    seconds: float | None
    moment: int
    """Its place among all that was given, retractions as well."""
    until: int | None = None
    """The moment in which it was taken back; None: it never was."""


@dataclass(frozen=True)
class Stored:
    """What is known of a user beside the given events."""

    events: list[Event]
    """Oldest first, all at time 0 where times are not known."""
    weights: list[float]
    has_times: bool


@dataclass(frozen=True)
class Joined:
    """A stored history and the given events as one."""

    events: list[Event]
    is_continued: bool
    is_contained: bool = False
    """Whether the given events begin with the stored ones, without times, and stand for themselves."""
    again: int = 0
    put_before: int = 0
    kept: Sequence[int] = ()
    """Places of the stored events that are among `events`."""
    fresh: Sequence[int] = ()
    """Places of the given ones that are."""


def joined(
    stored: Stored,
    new: list[Event],
    happened: Sequence[Happened] = (),
    taken_back: Sequence[Retraction] = (),
    *,
    are_later: bool = False,
) -> Joined:
    """Both as one: what is given twice once, and without what was taken back.

    `new` is what is left of the given events, and `happened` what they were before some of them took back others: one
    that was stored before it was taken back is not to be there any more. They `are_later` where it is known that none
    of them is stored: then they are no export of everything, even where they begin like one.
    """
    if not (stored.has_times or are_later) and _is_begun(stored.events, new, happened):
        return Joined(new, is_continued=True, is_contained=True, fresh=range(len(new)))
    gone = Counter((one.seconds, one.item) for one in happened if one.until is not None)
    kept = _standing(stored, gone if stored.has_times else Counter(), taken_back)
    old = [stored.events[place] for place in kept]
    is_continued = bool(stored.events)
    if not stored.has_times:
        return Joined([*old, *new], is_continued, kept=kept, fresh=range(len(new)))
    known = set(old)
    fresh = [place for place, event in enumerate(new) if event not in known]
    added = [new[place] for place in fresh]
    before = sum(bool(old) and second < old[-1][0] for second, _ in added)
    events = sorted([*old, *added], key=lambda event: event[0])
    return Joined(events, is_continued, False, len(new) - len(fresh), before, kept, fresh)


def still_disliked(
    stored: Sequence[int], taken_back: Sequence[Retraction], no_longer: Sequence[int]
) -> tuple[list[int], list[Retraction]]:
    """(which of the stored dislikes are left, the retractions that ended none of them).

    A retraction of any kind ends a dislike of its item first: of which of both was later nothing is stored.
    """
    ended = Counter(no_longer)
    counts, left = Counter(stored), list[Retraction]()
    for one in taken_back:
        if one.weight is None and counts[one.item] > ended[one.item]:
            ended[one.item] += 1
        else:
            left.append(one)
    kept = []
    for item in reversed(stored):
        if ended[item]:
            ended[item] -= 1
        else:
            kept.append(item)
    return kept[::-1], left


def _is_begun(old: list[Event], new: list[Event], happened: Sequence[Happened]) -> bool:
    """Whether the given events were the stored history at some moment, and went on from it.

    That is looked for before each retraction, as the log may have ended there, and after all of them.
    """
    if not old:
        return False
    if new[: len(old)] == old:
        return True
    items = [item for _, item in old]
    for moment in sorted({one.until for one in happened if one.until is not None}):
        left = [one.item for one in happened if one.moment < moment and (one.until is None or one.until >= moment)]
        if left[: len(items)] == items:
            return True
    return False


def _standing(stored: Stored, gone: Counter[tuple[float | None, int]], taken_back: Sequence[Retraction]) -> list[int]:
    """Places of the stored events but the `gone` ones and the latest that each retraction fits; two take two."""
    left = list[int]()
    for place, event in enumerate(stored.events):
        if gone[event]:
            gone[event] -= 1
        else:
            left.append(place)
    for one in taken_back:
        fits = (_fits(one, stored.events[place], stored.weights[place], stored.has_times) for place in reversed(left))
        behind = next((number for number, is_it in enumerate(fits, 1) if is_it), None)
        if behind is not None:
            del left[-behind]
    return left


def _fits(one: Retraction, event: Event, weight: float, has_times: bool) -> bool:
    second, item = event
    is_earlier = not has_times or one.seconds is None or second <= one.seconds
    return item == one.item and is_earlier and one.weight in (None, weight)
