"""Where the features of items or users are, and which columns hold what: settings, and the two short forms of them."""

from pathlib import PurePath
from typing import Literal

from pydantic import Field, field_validator

from nextitem.data.features.cells import DIVIDERS
from nextitem.data.features.table import Of
from nextitem.data.reading.appearance import SEPARATORS
from nextitem.errors import ConfigurationError
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import column_names, expanded
from nextitem.settings.overrides import resolve
from nextitem.settings.suggestion import suggest

SEVERAL = ("categories", "numbers", "texts", "vectors")
"""The roles that more than one column may have."""
ROLES = ("id", "title", *SEVERAL)
Names = tuple[str, ...] | None


class FeatureColumns(Configuration):
    """Which columns of a table of items or users hold what: by name, by number, or none for those with a usual name.

    In a usual name case, spaces, `_`, `-` and what follows a colon do not count. Numbers count from 1; where the id is
    given by number, a text has no header.
    """

    id: str | None = Field(default=None, min_length=1)
    """The column of ids; usually called as that of the events, else item, item_id, movie_id, sku, asin, id and the like
    of items, and user, user_id, customer_id, id and the like of users."""
    title: str | None = Field(default=None, min_length=1)
    """The column of titles; usually title, name, movie_title, product_name and the like. Users have none."""
    categories: Names = None
    """The columns of categories, each item with none, one or several; usually genre, genres, category, categories,
    class, tags, brand, attributes, and of users gender, sex, occupation, country, language, segment and the like. A
    text is divided at `|`; `class:space` divides at another separator (comma, semicolon, space, tab, slash, pipe), and
    `brand:whole` not at all. A list in brackets is one in any case."""
    numbers: Names = None
    """The columns of numbers; usually year, release_year, price; of users age, birth_year."""
    texts: Names = None
    """The columns of texts, such as descriptions; none of them has a usual name."""
    vectors: Names = None
    """The columns of vectors, all of a column of one length: lists, or texts such as `[0.1, 0.2]` or `0.1 0.2`; none of
    them has a usual name."""
    unusable: Literal["refuse", "missing"] = "refuse"
    """What a cell is that should be a number or a vector and is none: refused with its row, or missing."""
    on_bad_rows: Literal["refuse", "skip"] | None = None
    """Whether a row that cannot be used ends the reading with a message, or is left out, counted and written to a file
    of such rows, with its reason; none: as with rows of events (`columns.on_bad_rows`). With `unusable=missing` a row
    is used whose cell cannot be."""
    header: Literal["yes", "no"] | None = None
    """Whether the first line of a text names its columns; none: yes, but of a `.dat`, and where the id is a number."""
    separator: str | None = Field(default=None, pattern=r'^[^"\r\n]{1,16}$')
    """What divides a line of text: comma, semicolon, tab, pipe, colons, space, or the text itself; none: by the ending
    of the name."""

    @field_validator(*SEVERAL, mode="before")
    @classmethod
    def _one_alone(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else tuple(names) if isinstance(names, list) else names

    @field_validator(*SEVERAL)
    @classmethod
    def _are_named(cls, names: Names) -> Names:
        for name in names or ():
            if not name:
                raise ValueError("should name columns, and one of them is empty")
        return names

    @property
    def divided_at(self) -> str | None:
        """What divides a line of text, where that was said."""
        return None if self.separator is None else SEPARATORS.get(self.separator, self.separator)

    @property
    def has_header(self) -> bool | None:
        """Whether a text has a header, where that was said, or follows from an id that is given by number."""
        if self.header is not None:
            return self.header == "yes"
        return False if self.id is not None and self.id.isdecimal() else None


class Features(Configuration):
    """What is known of the items, or of the users, beside their ids: a table with a row for each of them."""

    file: str | None = Field(default=None, min_length=1)
    """A table of them: csv, tsv, inter, item or user (RecBole's), dat (`id::title::genre|genre`), jsonl, json (one
    object, from ids to attributes), parquet or arrow; all but the last two may be compressed. None: nothing."""
    columns: FeatureColumns = FeatureColumns()
    """Which columns of it hold what."""
    encoding: Literal["utf-8", "latin-1", "windows-1252"] = "utf-8"
    """In which encoding a text is; MovieLens-1M's and 100K's are in latin-1, which is ISO-8859-1."""

    @field_validator("file", mode="before")
    @classmethod
    def _is_named(cls, file: object) -> object:
        if names := column_names(file):
            raise ValueError(
                f"should be a path, and not a frame (of {', '.join(names[:10])}); give a frame by prepare(recipe, "
                f"items=frame)"
            )
        named = str(file) if isinstance(file, PurePath) else file
        return str(expanded(named)) if isinstance(named, str) and named.startswith("~") else named


NO_FEATURES = Features()


def said_by(of: Of, columns: str) -> str:
    """How such columns are said on the command line, for messages.

    >>> said_by("item", "id=NAME,title=NAME"), said_by("user", "id=NAME,numbers=age")
    ('--item-columns id=NAME,title=NAME', 'user_features.columns.id=NAME user_features.columns.numbers=age')
    """
    if of == "item":
        return f"--item-columns {columns}"
    return " ".join(f"user_features.columns.{one}" for one in columns.split(","))


def parse_item_columns(text: str) -> FeatureColumns:
    """Columns from `title=movie_title,categories=class:space,numbers=year`, as `--item-columns` takes them.

    What may be several columns may be named several times; what is left out keeps its usual names. `separator`,
    `header`, `unusable` and `on_bad_rows` may stand among them. Raises ConfigurationError for any other form.

    >>> parse_item_columns("id=movie, numbers=year, numbers=price").numbers
    ('year', 'price')
    """
    named: dict[str, str | list[str]] = {}
    for part in text.split(","):
        role, _, name = (word.strip() for word in part.partition("="))
        if role not in FeatureColumns.model_fields:
            known = suggest(role, FeatureColumns.model_fields)
            raise ConfigurationError(f"item columns {text!r}: {role!r} is no role of a column; {known}")
        if not name or (role in named and role not in SEVERAL):
            fact = "has no name" if not name else "is given twice"
            raise ConfigurationError(
                f"item columns {text!r}: {role} {fact}; write title=NAME,categories=NAME,numbers=NAME,numbers=ANOTHER"
            )
        if role in SEVERAL:
            before = named.get(role, [])
            named[role] = [*before, name]
        else:
            named[role] = name
    return resolve(FeatureColumns, [("--item-columns", named)]).value


def named_with_divider(name: str) -> tuple[str, str | None]:
    """(the column, what divides its texts) of a name such as `class:space`; None where it names no divider.

    >>> named_with_divider("class:space"), named_with_divider("class:token_seq")
    (('class', 'space'), ('class:token_seq', None))
    """
    column, colon, divider = name.rpartition(":")
    return (column, divider) if colon and divider in DIVIDERS else (name, None)
