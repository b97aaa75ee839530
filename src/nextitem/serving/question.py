"""What a recommender is asked, and what it answers: one request as a program, a service or a page puts it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nextitem.serving.ids import RawId

Source = Literal["model", "popularity"]
Unknown = Literal["error", "drop"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One recommended item."""

    item: RawId
    score: float
    """Comparable within one list only."""
    source: Source
    """`popularity` where the history had no known item, so that the model had nothing to go by."""
    title: str | None = None
    """What the item is called, where that is known."""
    is_cold: bool = False
    """Whether the model never learnt from an event of the item: it goes by what is known of the item beside its id."""


@dataclass(frozen=True)
class Terms:
    """What may be listed in an answer, and how its list is put together."""

    candidates: Sequence[RawId] | None = None
    """Nothing but these items is listed; None: all of the catalogue may be."""
    exclude: Sequence[RawId] | None = None
    """These items are not listed."""
    hide: str | None = None
    """Which items of the history are left out: `history`, `nothing` or `last:n`; None: as in training."""
    histories_only: bool = False
    """Whether what is stored of a known user is left out of account where the question has a history."""
    unknown: Unknown = "drop"
    """What becomes of ids that the recommender does not know: left out and told, or an `error`."""
    where: str | Mapping[str, object] | None = None
    """Conditions on the columns of items: `genres=Comedy,price<20`, or `{"genres": "Comedy", "price": {"<": 20}}`."""
    diversity: float = 0.0
    """From 0, the best items, to 1, items that differ: the weight of likeness beside relevance (MMR)."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """By column of categories or texts, how many items of each of its values a list may hold."""
    cursor: str | None = None
    """That of an earlier answer: what it and those before it showed is not listed again."""


@dataclass(frozen=True)
class Question:
    """What is next for whom: after a history, for a known user, or for a known user after new events."""

    history: Sequence[RawId] = ()
    """Raw ids of items, oldest first. Those of a known `user` go on from what is stored of that user."""
    times: Sequence[float] | None = None
    """When each of these events was, in unix seconds; needed by models that read times."""
    kinds: Sequence[str | None] | None = None
    """Of which kind each of them is, such as `purchase`, where the recommender learnt from events of several kinds;
    None of one that is in the history and nothing else. Where it did not, `retraction` takes an event back."""
    user: RawId | None = None
    k: int = 10
    """How many items are listed, where there are as many."""
    terms: Terms = Terms()
    are_later: bool = False
    """Whether it is known that these events came after the stored ones of the user, and are none of them."""
    is_new: bool = False
    """Whether the user is to be taken for one that the recommender does not know, such as one who was deleted."""
    features: Mapping[str, object] | None = None
    """What is known of the user, by column of the table that the model learnt of users with (`prefix=users`), in place
    of what it knows itself: of somebody new. A category is a text, or several in a list."""


@dataclass(frozen=True)
class Answer:
    """The items that come next, and what there is to say about them."""

    items: tuple[Recommendation, ...]
    """Best first; fewer than asked for where nothing else was left."""
    source: Source
    """`popularity` where nothing was known of the history: these are the most popular items that may be listed."""
    filtered: Mapping[str, int] = field(default_factory=dict)
    """By reason, how many items of the catalogue could not be listed; one of several reasons counts under the first.

    `retired` (from the catalogue), `where`, `not a candidate`, `excluded`, `seen` (an item of the history), `disliked`,
    `shown` (on an earlier page), and `limit`: better ones than the last of the list whose category had enough.
    """
    unknown: tuple[RawId, ...] = ()
    """Ids of the question that the recommender does not know, in the order of the question; they were left out."""
    is_stranger: bool = False
    """Whether the question names a user that the recommender does not know."""
    continued: bool = False
    """Whether the history goes on from one that was stored."""
    cursor: str | None = None
    """What to ask for the next page with; None where nothing is left to show."""

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Recommendation]:
        return iter(self.items)
