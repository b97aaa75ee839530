"""The items of a model as the page shows them: titles, covers, what they are about, how popular they are."""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.serving.ids import RawId
from nextitem.words import counted

_HUES, _SHAPES = 12, 8
_MOST_WORDS = 60  # categories that can be chosen from; more are no list to look through
_MOST_COLUMNS = 4  # of categories, and of numbers, that narrow what is shown
_MOST_NOTED = 3  # categories beside a title
_LEVELS = (0.01, 0.05, 0.2, 0.5)  # shares of the items, most popular first, that get five bars, four, …


@dataclass(frozen=True)
class Card:
    """An item as it is shown."""

    id: str
    title: str
    """The id where nobody said how it is called."""
    titled: bool
    note: str
    """What it is about, in a few words; may be empty."""
    popularity: str
    """How popular it is, in words."""
    level: int
    """The same from 0 (never seen in training) to 5."""
    hue: int
    """A colour, the same for items of one category."""
    shape: int


@dataclass(frozen=True)
class Words:
    """A column whose categories narrow what is shown."""

    key: str
    """In an address."""
    name: str
    words: Sequence[str]
    """The most frequent ones, in order of the alphabet."""


@dataclass(frozen=True)
class Span:
    """A column whose numbers narrow what is shown."""

    least_key: str
    """In an address."""
    most_key: str
    name: str
    least: str
    """As it is written; empty where none is known."""
    most: str


class Shelf:
    """All items of a catalogue; row i is item i."""

    def __init__(self, features: ItemFeatures, counts_N: Tensor, is_retired_N: Tensor | None = None) -> None:
        self._features = features
        self._ids: list[RawId] = features.table["item"].to_list()
        self._places = {str(raw): place for place, raw in enumerate(self._ids)}
        self._counts: list[int] = counts_N.tolist()
        by_popularity: list[int] = counts_N.argsort(descending=True, stable=True).tolist()
        ranks = [0] * len(self._ids)
        for rank, place in enumerate(by_popularity, 1):
            ranks[place] = rank
        self._ranks = ranks
        retired = set() if is_retired_N is None else set(is_retired_N.nonzero()[:, 0].tolist())
        self.by_popularity = [place for place in by_popularity if place not in retired]
        """The places of what may be picked, the most popular first: what was retired is shown where it was picked."""

    @property
    def size(self) -> str:
        """How many items there are, in words."""
        return f"{len(self._ids):,}"

    def raw(self, item: str) -> RawId | None:
        """The raw id of what an address calls an item; None where there is none."""
        place = self._places.get(item)
        return None if place is None else self._ids[place]

    @cached_property
    def titles(self) -> list[str]:
        """Of each item; its id where it has none."""
        known = self._features.titles
        return [known.get(raw) or str(raw) for raw in self._ids]

    @cached_property
    def categories(self) -> list[list[str]]:
        """Of each item, those of all columns of categories."""
        found: list[list[str]] = [[] for _ in self._ids]
        for name in self._features.categories:
            for row, words in zip(found, self._features.table[name].to_list(), strict=True):
                row.extend(word for word in words or () if word not in row)
        return found

    @property
    def category_name(self) -> str:
        """The column whose categories narrow what is shown; empty where there is none."""
        return next(iter(self._features.categories), "")

    @property
    def number_name(self) -> str:
        """The column of numbers that narrows what is shown; empty where there is none."""
        return next(iter(self._features.numbers), "")

    @cached_property
    def choices(self) -> list[Words]:
        """The first columns of categories."""
        found = []
        for name in [*self._features.categories][:_MOST_COLUMNS]:
            column = self._features.table[name].explode(empty_as_null=False).drop_nulls()
            counts = column.value_counts(sort=True).head(_MOST_WORDS)
            key = "in" if name == self.category_name else f"in.{name}"
            found.append(Words(key, name, sorted(counts[name].to_list())))
        return [one for one in found if one.words]

    @cached_property
    def spans(self) -> list[Span]:
        """The first columns of numbers."""
        found = []
        for name in [*self._features.numbers][:_MOST_COLUMNS]:
            known = self._features.table[name].drop_nulls().to_list()
            low, high = (f"{min(known):g}", f"{max(known):g}") if known else ("", "")
            is_first = name == self.number_name
            found.append(
                Span("from" if is_first else f"from.{name}", "to" if is_first else f"to.{name}", name, low, high)
            )
        return found

    def card(self, item: RawId, title: str | None = None) -> Card:
        """An item by its raw id or by what an address calls it, known or not; with another title, if one is given."""
        place = self._places.get(str(item))
        if place is None:
            return Card(
                str(item), title or str(item), title is not None, "", "not in the catalogue", 0, *_looks(str(item))
            )
        words = self.categories[place]
        called = title or self.titles[place]
        hue, shape = _looks(str(item))
        if words:
            hue = self._hues[max(words, key=self._order.__getitem__)]
        return Card(
            str(item),
            called,
            called != str(item),
            " · ".join([*self._number_of(place, called), *words[:_MOST_NOTED]]),
            self._popularity(place),
            self._level(place),
            hue,
            shape,
        )

    @cached_property
    def _order(self) -> dict[str, int]:
        """The place of each category among all, the one of most items first."""
        every = [word for words in self.categories for word in words]
        counts = (
            pl.Series("word", every, dtype=pl.String).value_counts().sort("count", "word", descending=[True, False])
        )
        return {word: number for number, word in enumerate(counts["word"].to_list())}

    @cached_property
    def _hues(self) -> dict[str, int]:
        """A colour of each category; the most frequent ones differ. An item has that of its rarest category."""
        return {word: number % _HUES for word, number in self._order.items()}

    def _number_of(self, place: int, title: str) -> list[str]:
        if not self.number_name:
            return []
        value = self._features.table[self.number_name][place]
        told = "" if value is None else f"{value:g}"
        return [told] if told and told not in title else []

    def _popularity(self, place: int) -> str:
        count, rank = self._counts[place], self._ranks[place]
        if not count:
            return "in no training history"
        return f"{counted(count, 'training event')}, {ordinal(rank)} of {len(self._ids):,} in popularity"

    def _level(self, place: int) -> int:
        if not self._counts[place]:
            return 0
        share = self._ranks[place] / len(self._ids)
        return 5 - sum(share > level for level in _LEVELS)

    def found(self, text: str, limit: int) -> tuple[list[RawId], int]:
        """(raw ids, how many there are in all) of items whose title or id has all words of the text.

        A title that begins with the text comes first, then one with a word that does; within these by popularity.
        """
        wanted = folded(text)
        words = wanted.split()
        if not words:
            return [], 0
        ranked = []
        for place in self.by_popularity:
            title = self._folded[place]
            if all(word in title for word in words):
                ranked.append((_nearness(title, wanted), place))
        ranked.sort(key=lambda one: one[0])
        return [self._ids[place] for _, place in ranked[:limit]], len(ranked)

    @cached_property
    def _folded(self) -> list[str]:
        return [
            folded(title if title == str(raw) else f"{title} {raw}")
            for title, raw in zip(self.titles, self._ids, strict=True)
        ]

    def where(self, narrowing: Sequence[tuple[str, str]]) -> dict[str, object] | None:
        """The conditions of keys and values of an address: one of these categories, and a number between these."""
        found: dict[str, object] = {}
        for choice in self.choices:
            if words := [value for key, value in narrowing if key == choice.key]:
                found[choice.name] = words
        for span in self.spans:
            bounds = {">=": span.least_key, "<=": span.most_key}
            told = {sign: float(value) for sign, named in bounds.items() for key, value in narrowing if key == named}
            if told:
                found[span.name] = told
        return found or None

    def limits(self, most: int) -> dict[str, int]:
        """The limit of items of one category of the first column; none for 0."""
        return {self.category_name: most} if most and self.category_name else {}

    @cached_property
    def examples(self) -> list[tuple[str, Sequence[RawId]]]:
        """Histories to begin with, by name."""
        return _examples(self)

    def popular(self, limit: int, category: str = "") -> list[RawId]:
        """The most popular items, of one category if it is given."""
        places = (p for p in self.by_popularity if not category or category in self.categories[p])
        return [self._ids[place] for place, _ in zip(places, range(limit), strict=False)]


def folded(text: str) -> str:
    """The text without what people leave out when they search: accents, case, signs.

    >>> folded("Amélie (2001)")
    'amelie 2001'
    """
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return re.sub(r"[\W_]+", " ", plain).strip()


def _nearness(title: str, wanted: str) -> int:
    if title == wanted or title.startswith(wanted + " "):
        return 0
    return 1 if title.startswith(wanted) else 2 if f" {wanted}" in title else 3


def _looks(item: str) -> tuple[int, int]:
    drawn = zlib.crc32(item.encode())
    return drawn % _HUES, drawn // _HUES % _SHAPES


def ordinal(number: int) -> str:
    """A place as people say it.

    >>> ordinal(1), ordinal(12), ordinal(1022)
    ('1st', '12th', '1,022nd')
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _examples(shelf: "Shelf", most: int = 6, length: int = 4) -> list[tuple[str, Sequence[RawId]]]:
    """Histories to begin with, by name: the most popular items of each of the largest categories.

    They are made of items alone: no history of a user is shown to anybody.
    """
    shown: set[RawId] = set()
    found: list[tuple[str, Sequence[RawId]]] = []
    sizes: dict[str, int] = {}
    for place in shelf.by_popularity[: max(200, len(shelf.by_popularity) // 5)]:
        for word in shelf.categories[place]:
            sizes[word] = sizes.get(word, 0) + 1
    for word in sorted(sizes, key=lambda one: (-sizes[one], one)):
        items = [item for item in shelf.popular(4 * length, word) if item not in shown][:length]
        if len(items) == length:
            shown.update(items)
            found.append((word, items))
        if len(found) == most:
            break
    return found
