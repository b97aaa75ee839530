"""What follows from the findings: a setting, its value, and why. The rules are few, and each can be argued with."""

from collections.abc import Iterator
from dataclasses import dataclass

from nextitem.data.checkup.examination import Examination
from nextitem.data.checkup.held_out import FEWEST_CASES, HeldOut
from nextitem.words import counted, percent

MOST_LOST = 0.05
"""Share of the training targets that a maximum length may leave out."""
LONGEST = 200
"""The longest window that is advised: attention grows with the square of it."""
MOST_ITEMS = 100_000
"""A larger catalogue is learnt from sampled negatives."""
FEW_REPEATS = 0.01
MANY_TIED = 0.1
MANY_SHORT = 0.1
MANY_RARE, FEW_LOST = 0.25, 0.05
"""Items are left out where a quarter of the catalogue is rare, and a twentieth of the events at most goes with it."""
DEFAULT, BY_TIME = "leave_one_out", "temporal"


@dataclass(frozen=True)
class Advice:
    """One setting as it is typed, and the reason for it."""

    key: str
    value: str
    reason: str


def advice(found: Examination) -> tuple[Advice, ...]:
    """Split, minima, length, stride, what is hidden, and the recipe with its loss, in this order.

    Every setting has its line, also where the default is advised.
    """
    return (*_split(found), *_minima(found), *_window(found), _hide(found), _loss(found))


def _split(found: Examination) -> Iterator[Advice]:
    by_time = [one for one in found.splits if one.is_by_time]
    if found.times is None:
        yield Advice("split", DEFAULT, "there are no times to split by")
    elif not by_time:
        yield Advice("split", DEFAULT, f"no split by time holds {FEWEST_CASES} test cases with a history")
    elif found.leak is not None and found.leak.is_large:
        share = percent(found.leak.median_later)
        yield from _temporal(by_time, f"under leave-one-out {share} of training happened after a test target (median)")
    elif found.ties is not None and found.ties.share_of_ends > MANY_TIED:
        share = percent(found.ties.share_of_ends)
        yield from _temporal(by_time, f"which event is the last is arbitrary for {share} of the users")
    else:
        yield Advice("split", DEFAULT, "little of training happens after what is foretold")


def _temporal(by_time: list[HeldOut], reason: str) -> Iterator[Advice]:
    chosen = by_time[-1]
    yield Advice("split", BY_TIME, f"{reason}; {counted(chosen.test, 'test case')} of {chosen.split}")
    for key, value in chosen.settings.items():
        if key != "split":
            yield Advice(key, value, "as was looked at")


def _minima(found: Examination) -> Iterator[Advice]:
    users, popularity = found.lengths, found.popularity
    short, rare = users.under_3 / users.users, popularity.under_5 / popularity.items
    if MANY_SHORT < short < 1:  # where all are short, nothing would be left
        reason = f"{percent(short)} of the users have fewer than 3 events, at most one target to learn from"
        yield Advice("filters.minimum_per_user", "3", reason)
    else:
        yield Advice("filters.minimum_per_user", "1", f"{percent(short)} of the users have fewer than 3 events")
    lost = percent(popularity.share_under_5, 1)
    if rare > MANY_RARE and popularity.share_under_5 <= FEW_LOST:
        reason = f"{percent(rare)} of the items have fewer than 5 events, and {lost} of the events together"
        yield Advice("filters.minimum_per_item", "5", reason)
    else:
        reason = f"items with fewer than 5 events are {percent(rare)} of all and have {lost} of the events"
        yield Advice("filters.minimum_per_item", "1", reason)


def _window(found: Examination) -> Iterator[Advice]:
    if found.windows is None:
        return
    fitting = found.windows.shortest(MOST_LOST)
    if fitting is not None and fitting.length <= LONGEST:
        reason = f"its last window leaves out {percent(fitting.lost, 1)} of the training targets"
        yield Advice("objective.maximum_length", str(fitting.length), reason)
        yield Advice("objective.stride", "none", "one window a user is nearly all there is")
        return
    longest = found.windows.at(LONGEST)
    lost = percent(longest.lost, 1)
    yield Advice("objective.maximum_length", str(LONGEST), f"the longest that is usual; it leaves out {lost}")
    reason = f"keeps these {lost}, by {longest.windows:.1f} windows a user in place of one"
    yield Advice("objective.stride", str(LONGEST), reason)


def _hide(found: Examination) -> Advice:
    repeats = found.repeats
    if repeats.hide is not None:
        return Advice("hide", repeats.hide, "as was asked for")
    share, at_once = percent(repeats.share, 1), repeats.immediate / repeats.events
    if not repeats.repeated:
        return Advice("hide", "history", "nobody comes back to an item")
    if repeats.share <= FEW_REPEATS:
        return Advice("hide", "history", f"{share} of the events come back to an item; such targets count as missed")
    if at_once <= FEW_REPEATS:
        reason = f"{share} of the events come back to an item, and {percent(at_once, 1)} to the one right before"
        return Advice("hide", "last:1", reason)
    return Advice("hide", "nothing", f"{share} of the events come back to an item, many of them at once")


def _loss(found: Examination) -> Advice:
    items = found.size.items
    if items <= MOST_ITEMS:
        return Advice(
            "loss",
            "cross_entropy",
            f"{counted(items, 'item is', 'items are')} few enough for the softmax over all of them",
        )
    reason = f"of {items:,} items 3,000 are drawn for each user: the softmax over all would take most of the time"
    return Advice("loss", "sampled_cross_entropy", reason)
