"""Which of the best items make a list: such that differ, or no more than some of each category. P items.

Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) takes items one by one, each time the one for which

    (1 − diversity) · relevance − diversity · greatest likeness to an item that was taken

is largest. Relevance is the score on a scale from 0, the worst of the P items, to 1, the best; likeness is a cosine, 0
of the first item. Of equal values the better ranked item is taken.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Likeness = Callable[[Sequence[int]], npt.NDArray[np.float64]]
"""Of P items the cosines of all pairs, shape (P, P)."""


@dataclass(frozen=True)
class Limit:
    """How many items of each category of a column a list may hold."""

    most: int
    categories: Sequence[Sequence[str]]
    """Of each item of the catalogue, which counts for all of them; one whose categories are not known has no limit."""


@dataclass
class Picked:
    """A list as it was picked from ranked items."""

    places: list[int] = field(default_factory=list)
    """Which of the ranked items, in the order of the list."""
    passed_over: int = 0
    """How many were left out on the way because a category of theirs had enough."""


def picked(
    items: Sequence[int],
    scores: Sequence[float],
    k: int,
    diversity: float = 0.0,
    likeness: Likeness | None = None,
    limits: Sequence[Limit] = (),
) -> Picked:
    """At most k of the items, which are ranked best first: with `diversity` such that differ, and within the limits.

    >>> picked([0, 1, 2], [3.0, 2.0, 1.0], k=2, limits=[Limit(1, [("a",), ("a",), ("b",)])])
    Picked(places=[0, 2], passed_over=1)
    """
    found, counts = Picked(), [Counter[str]() for _ in limits]
    relevance_P = _relevance(scores) if diversity else -np.arange(len(items), dtype=np.float64)
    likeness_PP = likeness(items) if diversity and likeness is not None and len(items) else None
    values_P = (1 - diversity) * relevance_P
    nearest_P, is_left_P = np.zeros(len(items)), np.ones(len(items), dtype=bool)
    while len(found.places) < k and is_left_P.any():
        place = int(np.where(is_left_P, values_P - diversity * nearest_P, -np.inf).argmax())
        is_left_P[place] = False
        names = [limit.categories[items[place]] for limit in limits]
        if any(_is_full(*each) for each in zip(limits, counts, names, strict=True)):
            found.passed_over += 1
            continue
        for own, each in zip(counts, names, strict=True):
            own.update(each)
        found.places.append(place)
        if likeness_PP is not None:
            likeness_P = likeness_PP[place]
            nearest_P = likeness_P if len(found.places) == 1 else np.maximum(nearest_P, likeness_P)
    return found


def _relevance(scores: Sequence[float]) -> npt.NDArray[np.float64]:
    """The scores from 0 to 1; all 1 where they are equal."""
    found = np.asarray(scores, dtype=np.float64)
    span = float(np.ptp(found)) if len(found) else 0.0
    return (found - found.min()) / span if span > 0 else np.ones(len(found))


def _is_full(limit: Limit, counts: Counter[str], names: Sequence[str]) -> bool:
    return any(counts[name] >= limit.most for name in names)
