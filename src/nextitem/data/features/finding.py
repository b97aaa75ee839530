"""Which column of a table of items holds what: as it was said, else those with usual names; and how that is told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nextitem.data.features.columns import SEVERAL, FeatureColumns, named_with_divider, said_by
from nextitem.data.features.table import Of, reserved
from nextitem.data.reading.appearance import looks_like_data
from nextitem.data.reading.names import clipped, listed, plain, usual
from nextitem.errors import DataError
from nextitem.settings.suggestion import suggest

_USUAL: Mapping[Of, Mapping[str, frozenset[str]]] = {"item": {
    "title": frozenset({
        "title", "name", "itemtitle", "itemname", "movietitle", "moviename", "filmtitle", "producttitle", "productname",
        "booktitle", "bookname", "tracktitle", "trackname", "songtitle", "songname", "articletitle", "articlename",
        "gametitle", "gamename", "newstitle", "headline",
    }),
    "categories": frozenset({
        "genre", "genres", "category", "categories", "class", "classes", "tags", "brand", "attributes",
    }),
    "numbers": frozenset({"year", "releaseyear", "price"}),
}, "user": {
    "categories": frozenset({
        "gender", "sex", "occupation", "job", "profession", "country", "region", "state", "city", "language", "locale",
        "segment", "segments", "plan", "agegroup", "education",
    }),
    "numbers": frozenset({"age", "birthyear", "yearofbirth"}),
}}  # fmt: skip
_ATOMIC = ("token", "token_seq", "float", "float_seq")
"""What RecBole writes behind a colon; of a sequence the values are divided by blanks."""


@dataclass(frozen=True)
class Taken:
    """Which columns of a table hold what, by the names that it has them under."""

    id: str
    header: tuple[str, ...]
    title: str | None = None
    categories: Mapping[str, str] = field(default_factory=dict)
    """And the word for what divides the texts of each."""
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    found: frozenset[str] = frozenset()
    """Those that nobody named: they have usual names."""

    @property
    def several(self) -> tuple[str, ...]:
        """All but id and title."""
        return (*self.categories, *self.numbers, *self.texts, *self.vectors)

    def without(self, names: Collection[str]) -> "Taken":
        """The same without columns that turned out to be something else."""
        numbers, texts, vectors = (
            tuple(name for name in kind if name not in names) for kind in (self.numbers, self.texts, self.vectors)
        )
        title = None if self.title in names else self.title
        categories = {name: word for name, word in self.categories.items() if name not in names}
        return replace(self, title=title, categories=categories, numbers=numbers, texts=texts, vectors=vectors)

    @property
    def unread(self) -> tuple[str, ...]:
        """The other columns of the table."""
        read = {self.id, self.title, *self.several}
        return tuple(name for name in self.header if name not in read)

    def note(self, written: Collection[str]) -> str:
        """Which column is taken for what, as the end of a sentence; those `written` are texts, which are divided."""
        divided = [
            f"'{clipped(name)}'{f' ({_in_words(word)})' if name in written else ''}"
            for name, word in self.categories.items()
        ]
        kinds = {"categories": divided, "numbers": self._quoted(self.numbers), "texts": self._quoted(self.texts),
                 "vectors": self._quoted(self.vectors)}  # fmt: skip
        said = [f"ids in '{clipped(self.id)}'"]
        said += [f"titles in '{clipped(self.title)}'"] if self.title is not None else []
        said += [f"{kind} in {' and '.join(names)}" for kind, names in kinds.items() if names]
        unread = f"; not read: {listed([*self.unread])}" if self.unread else ""
        return ", ".join(said) + unread

    def _quoted(self, names: Sequence[str]) -> list[str]:
        return [f"'{clipped(name)}'" for name in names]


def _in_words(divider: str) -> str:
    return "one each" if divider == "whole" else f"divided by {divider}"


def find_columns(
    place: str, header: Sequence[str], asked: FeatureColumns, of_events: str | None = None, of: Of = "item"
) -> Taken:
    """Where the features are in a table with this header, which lies at a `place` for messages; its rows are `of` what.

    `of_events` is what the events call their column of ids. Raises DataError for a column that is not there or cannot
    be told from another.
    """
    names = [*header]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{place}: two columns are called {clipped(twice[0])!r}; rename one of them")
    identity = _id(place, names, asked.id, of_events, of)
    taken: dict[str, str] = {}  # column -> role
    _take(taken, place, identity, "id")
    for role in ("title", *SEVERAL):
        given = getattr(asked, role)
        for name in [given] if isinstance(given, str) else given or ():
            _take(taken, place, _named(place, names, role, named_with_divider(name)[0], of), role)
    said = dict(taken)
    for role, words in _USUAL[of].items():
        if getattr(asked, role) is None:
            fitting = [name for name in names if plain(name) in words and name not in taken]
            if role == "title":  # one of them: its own word, else the first
                fitting = sorted(fitting, key=lambda name: plain(name) != "title")[:1]
            taken |= dict.fromkeys(fitting, role)
    dividers = dict(_divider_of(place, names, name, of) for name in asked.categories or ())
    of_role = {role: [name for name in names if taken.get(name) == role] for role in SEVERAL}
    _require_distinct(place, [name for role in SEVERAL for name in of_role[role]], of)
    if not taken.keys() - {identity}:
        titles = "title=NAME," if of == "item" else ""
        raise DataError(
            f"{place}: no column but {identity!r}, the ids, has a usual name ({listed(names)}); say what others hold, "
            f"such as {said_by(of, titles + 'categories=NAME,numbers=NAME')}"
        )
    return Taken(
        id=identity,
        header=tuple(names),
        title=next((name for name, role in taken.items() if role == "title"), None),
        categories={name: dividers.get(name) or _usual_divider(name) for name in of_role["categories"]},
        numbers=tuple(of_role["numbers"]),
        texts=tuple(of_role["texts"]),
        vectors=tuple(of_role["vectors"]),
        found=frozenset(taken.keys() - said.keys()),
    )


def feature_name(name: str) -> str:
    """What a column is called among the features: as in the table, without RecBole's type.

    >>> feature_name("class:token_seq"), feature_name("size:large")
    ('class', 'size:large')
    """
    column, _, kind = name.rpartition(":")
    return column if kind in _ATOMIC else name


def _id(place: str, names: list[str], asked: str | None, of_events: str | None, of: Of) -> str:
    if asked is not None:
        return _named(place, names, "id", asked, of)
    if of_events in names:
        return str(of_events)
    fitting = usual(of, names) or [name for name in names if plain(name) == "id"]
    if len(fitting) == 1:
        return fitting[0]
    remedy = f"name the one that holds the ids by {_by(of, 'id')}"
    if fitting:
        raise DataError(f"{place}: {' and '.join(map(repr, map(clipped, fitting)))} could hold the ids; {remedy}")
    known = suggest(of, map(clipped, names[:50]))
    if looks_like_data(names):
        second = "title" if of == "item" else "categories"
        remedy = f"of a file without a header give columns by number, such as {said_by(of, f'id=1,{second}=2')}"
    raise DataError(f"{place}: no column has a usual name for ids of {of}s; {known}; {remedy}")


def _by(of: Of, role: str) -> str:
    """The ways to name the column of a role."""
    of_items = f"features.columns.{role}=NAME, or " if of == "item" else ""
    return f"{of_items}{said_by(of, f'{role}=NAME')}"


def _named(place: str, names: list[str], role: str, name: str, of: Of) -> str:
    fitting = [each for each in names if each == name] or [each for each in names if feature_name(each) == name]
    if not fitting and name.isascii() and name.isdigit() and 0 < int(name) <= len(names):
        return names[int(name) - 1]
    if len(fitting) != 1:
        known = suggest(name, map(clipped, names[:50]))
        raise DataError(
            f"{place}: there is no column {name!r}; {known}; name the one that holds the {role} by {_by(of, role)}"
        )
    return fitting[0]


def _take(taken: dict[str, str], place: str, name: str, role: str) -> None:
    if name in taken:
        before = taken[name]
        fact = f"twice for {role}" if before == role else f"for {before} and for {role}"
        raise DataError(f"{place}: the column {clipped(name)!r} is named {fact}; take each column once")
    taken[name] = role


def _divider_of(place: str, names: list[str], written: str, of: Of) -> tuple[str, str]:
    name, word = named_with_divider(written)
    column = _named(place, names, "categories", name, of)
    return column, word or _usual_divider(column)


def _usual_divider(name: str) -> str:
    return "space" if name.endswith(":token_seq") else "pipe"


def _require_distinct(place: str, columns: list[str], of: Of) -> None:
    """Raise DataError where a feature would be called as another, or as what every table has."""
    short = [feature_name(name) for name in columns]
    for name, full in zip(short, columns, strict=True):
        if name in reserved(of) or short.count(name) > 1:
            other = "a feature" if short.count(name) > 1 else "what every table of features has"
            raise DataError(f"{place}: the column {clipped(full)!r} would be called as {other}, {name!r}; rename it")
