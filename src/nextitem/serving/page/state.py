"""What somebody looks at: all of it stands in the address of the page."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

MOST_PICKED = 100
"""Items of a history that an address may hold; the newest are kept."""
MOST_PAGES = 20
MOST_OF_ONE = 10
"""Items of one category that a list can be limited to."""
_LONGEST = 256  # characters of an id or a word in an address
_FURTHER = ("in.", "from.", "to.")  # before the name of a column that is not the first of its kind


@dataclass(frozen=True)
class View:
    """A history, which models answer, and with what terms; ids are text, as they stand in an address.

    >>> View.of([("h", "i1"), ("h", "i2"), ("mix", "30")]).with_item("i9").address()
    '/?h=i1&h=i2&h=i9&mix=30'
    """

    history: tuple[str, ...] = ()
    """Oldest first."""
    left_out: frozenset[str] = frozenset()
    """Of the history, what the models are not told: what if it were not there?"""
    models: tuple[str, ...] = ()
    """Names of the two that answer; empty: the first two that are served."""
    categories: tuple[str, ...] = ()
    least: str = ""
    """Of the number that items are narrowed by, such as a year; empty: no bound."""
    most: str = ""
    mix: int = 0
    """How much unlike items are preferred, in per cent."""
    limit: int = 0
    """How many items of one category a list may hold; 0: any number."""
    further: tuple[tuple[str, str], ...] = ()
    """Keys and values that narrow by other columns than the first: `in.NAME`, `from.NAME` and `to.NAME`."""
    user: str = ""
    """Whose stored history comes before the one that is picked; empty: nobody's."""
    shows_seen: bool = False
    near: str = ""
    """The item whose neighbours are explored."""
    page: int = 1
    """Up to which page of ten the lists are shown."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "View":
        """The view that an address tells of; what makes no sense in it is passed over, since people edit addresses."""
        found: dict[str, list[str]] = {}
        for key, value in pairs:
            if value and len(value) <= _LONGEST:
                found.setdefault(key, []).append(value)
        mix = found.get("mix", ["0"])[-1]
        limit = found.get("limit", ["0"])[-1]
        history = tuple(found.get("h", ()))[-MOST_PICKED:]
        return cls(
            history=history,
            left_out=frozenset(found.get("o", ())) & frozenset(history),
            models=tuple(dict.fromkeys(found.get("m", ())))[:2],
            categories=tuple(dict.fromkeys(found.get("in", ()))),
            least=_number(found.get("from", [""])[-1]),
            most=_number(found.get("to", [""])[-1]),
            mix=min(int(mix), 100) if mix.isascii() and mix.isdigit() else 0,
            limit=min(int(limit), MOST_OF_ONE) if limit.isascii() and limit.isdigit() else 0,
            further=tuple(
                (key, value)
                for key in sorted(found)
                if key.startswith(_FURTHER)
                for value in dict.fromkeys(found[key] if key.startswith("in.") else found[key][-1:])
                if key.startswith("in.") or _number(value)
            ),
            user=found.get("user", [""])[-1],
            shows_seen=found.get("seen", [""])[-1] == "1",
            near=found.get("near", [""])[-1],
            page=_page(found.get("page", ["1"])[-1]),
        )

    @property
    def told(self) -> tuple[str, ...]:
        """The history as models are told it."""
        return tuple(item for item in self.history if item not in self.left_out)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the history decides what is shown."""
        terms = (self.categories, self.least, self.most, self.mix, self.limit, self.further, self.shows_seen)
        return any(bool(one) for one in terms)

    @property
    def narrowing(self) -> list[tuple[str, str]]:
        """Keys and values of all that narrows by columns of items."""
        first = [*(("in", word) for word in self.categories), ("from", self.least), ("to", self.most)]
        return [(key, value) for key, value in [*first, *self.further] if value]

    def pairs(self, *, without: Iterable[str] = ()) -> list[tuple[str, str]]:
        """Keys and values of the address in a fixed order; those of a form that asks for the others itself."""
        lists = {"h": self.history, "o": sorted(self.left_out), "m": self.models}
        words = {
            "user": self.user,
            "mix": str(self.mix or ""),
            "limit": str(self.limit or ""),
            "seen": "1" if self.shows_seen else "",
        }
        words["page"] = str(self.page) if self.page > 1 else ""
        several = [*((key, value) for key, values in lists.items() for value in values), *self.narrowing]
        one = [(key, value) for key, value in {**words, "near": self.near}.items() if value]
        away = {*without}
        return [(key, value) for key, value in [*several, *one] if key.partition(".")[0] not in away]

    def address(self, path: str = "/", **more: str) -> str:
        """The address of this view under a path."""
        pairs = [*self.pairs(), *more.items()]
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def with_item(self, item: str) -> "View":
        """The same with an item as the newest of the history."""
        return replace(self, history=(*self.history, item)[-MOST_PICKED:], left_out=self.left_out - {item})

    def without_place(self, place: int) -> "View":
        """The same without what stands at a place of the history."""
        history = self.history[:place] + self.history[place + 1 :]
        return replace(self, history=history, left_out=self.left_out & frozenset(history))

    def moved(self, place: int, by: int) -> "View":
        """The same with what stands at a place of the history exchanged with what stands `by` places later."""
        history = list(self.history)
        history[place], history[place + by] = history[place + by], history[place]
        return replace(self, history=tuple(history))

    def told_otherwise(self, item: str) -> "View":
        """The same with an item told to the models where it was left out, and left out where it was told."""
        return replace(self, left_out=self.left_out ^ {item})

    def cleared(self) -> "View":
        """The same without a history."""
        return replace(self, history=(), left_out=frozenset())

    def of_history(self, history: Iterable[str]) -> "View":
        """The same with another history."""
        return replace(self, history=tuple(history), left_out=frozenset())

    def of_user(self, user: str = "") -> "View":
        """The same after what is stored of a user, or of nobody."""
        return replace(self, user=user)

    def exploring(self, item: str) -> "View":
        """The same beside the neighbours of an item."""
        return replace(self, near=item)

    def unfiltered(self) -> "View":
        """The same with everything shown that is recommended anyway."""
        return replace(self, categories=(), least="", most="", mix=0, limit=0, further=(), shows_seen=False)


def _page(text: str) -> int:
    return min(int(text), MOST_PAGES) if text.isascii() and text.isdigit() and int(text) else 1


def _number(text: str) -> str:
    """The text where it is a number that can bound another one, else nothing."""
    try:
        value = float(text)
    except ValueError:
        return ""
    return text if abs(value) < float("inf") else ""
