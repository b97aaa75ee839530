"""What is said about an answer: what carried each item, what was left out and why, and what else might have come."""

from dataclasses import dataclass

from nextitem.serving.ids import RawId
from nextitem.serving.question import Answer


@dataclass(frozen=True, slots=True)
class Carrier:
    """What one item of the history does to the score of an item that is explained."""

    item: RawId
    title: str | None
    change: float | None
    """The score less that without this item: above 0 where it speaks for the other, 0 where it makes no difference.

    None where nothing of the history would be left: scores of the most popular items, listed then, do not compare.
    """
    rank: int
    """The rank that the explained item would have without this one."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One item, why it is where it is."""

    item: RawId
    title: str | None
    is_cold: bool
    score: float
    rank: int
    """Its place by score among all that may be listed, from 1; of one that may not, the place that it would have."""
    filtered: str | None
    """Why it is not listed whatever its score, such as `seen`; None where it may be."""
    events: int
    """How often it occurs in training."""
    popularity: int
    """Its place by that, from 1, which is the most popular item; equal counts share one."""
    carriers: tuple[Carrier, ...]
    """The items of the history, the one that speaks most for this one first."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """An item that scores no less than one in the list, and is not in it."""

    item: RawId
    title: str | None
    score: float
    reason: str
    """As in `Answer.filtered`, or `diversity` where the list was to differ more."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The list after another history."""

    without: tuple[RawId, ...]
    """What is taken out of the history; it is listed no more than before."""
    added: tuple[RawId, ...]
    """What is added to its end."""
    answer: Answer
    came: tuple[RawId, ...]
    """Items of this list that are not in the one before, best first."""
    went: tuple[RawId, ...]
    """Items of the list before that are not in this one, best first."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer, and what it rests on."""

    answer: Answer
    history: tuple[RawId, ...]
    """What the model was given to read, stored events included, oldest first."""
    items: tuple[Explained, ...]
    """Those that were asked about, or all of the list, in its order."""
    filtered: tuple[Filtered, ...]
    """Items that would be in the list if nothing were left out, best first; the first 100 of them."""
    goes_by_history: bool
    """Whether any item of the history changes the score of any explained item.

    It does not where the model looks at no history (popularity), or knows its users by vectors that were learnt from
    their events: to leave an event out it would have to be trained anew.
    """
    untried: int
    """Different items of the history that were not left out, since they are older than those that were."""
    what_if: WhatIf | None = None

    @property
    def is_fallback(self) -> bool:
        """Whether the most popular items stand in for the model's, since nothing of the history is known."""
        return self.answer.source == "popularity"
