"""Which column of a file holds what: named or numbered by whoever knows the file, else found by a usual name.

Whatever was found is said, above all by which column, if any, the events of a user are put in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from nextitem.data.reading.appearance import SEPARATORS, looks_like_data, other_separator, word_for
from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.names import ROLES, Role, clipped, listed, unit_of, usual
from nextitem.errors import ConfigurationError, DataError
from nextitem.settings.configuration import Configuration
from nextitem.settings.overrides import resolve
from nextitem.settings.suggestion import suggest

_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


class Columns(Configuration):
    """Which columns of a file hold the events: by name, by number, or none for the one that has a usual name.

    In a usual name case, spaces, `_`, `-` and what follows a colon do not count: `userId` and `user_id:token` are one.
    Numbers count from 1; where user and item are given by number, the file has no header.
    """

    user: str | None = Field(default=None, min_length=1)
    """The column of user ids; usually user or user_id, else uid, visitor_id, customer_id and the like."""
    item: str | None = Field(default=None, min_length=1)
    """The column of item ids; usually item or item_id, else movie_id, product_id, sku, asin and the like."""
    time: str | None = Field(default=None, min_length=1)
    """The column of times; usually time, timestamp, datetime, date, ts, event_time, created_at and the like. Without
    one the order of rows is the order in time."""
    kind: str | None = Field(default=None, min_length=1)
    """The column of kinds of events, such as event, event_type, behavior or action; read where `kinds` say what each
    kind means, and then by its usual name unless it is given here."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """What times that are numbers count since 1970: seconds, milli-, micro- or nanoseconds; none: what the name of the
    column ends in (`timestamp_ms`), else seconds."""
    order: Literal["time", "rows"] = "time"
    """Whether times order the events of a user, where there are any, or rows do and times are not read."""
    header: Literal["yes", "no"] | None = None
    """Whether the first line of a text names its columns; none: as its format has it, and not where columns are given
    by number."""
    separator: str | None = Field(default=None, pattern=r'^[^"\r\n]{1,16}$')
    """What divides a line of text: comma, semicolon, tab, pipe, colons, space, or the text itself; none: as its format
    has it."""
    format: Literal["csv", "tsv", "pairs", "sequences", "ratings", "jsonl", "parquet", "arrow"] | None = None
    """How the file is written, whatever its name ends in; none: as that ending says, or else `separator`."""
    missing: Literal["refuse", "ids"] = "refuse"
    """What the words NaN, null, None, NA, N/A, <NA> and \\N are in a column of ids: missing values, which are refused,
    or ids like others."""
    on_bad_rows: Literal["refuse", "skip"] = "refuse"
    """Whether a row that cannot be used ends the reading with a message, or is left out, counted and written to a file
    of such rows, with its reason. What is wrong with all of a file is refused in any case."""

    @property
    def roles(self) -> Mapping[Role, str | None]:
        """The names, by role; kinds of events have none unless they are asked for."""
        of_kinds = {} if self.kind is None else {"kind": self.kind}
        return {"user": self.user, "item": self.item, "time": self.time, **of_kinds}

    @property
    def layout(self) -> Layout:
        """How a text is laid out, where that was said."""
        separator = None if self.separator is None else SEPARATORS.get(self.separator, self.separator)
        has_header = None if self.header is None else self.header == "yes"
        return Layout(separator, has_header, self.is_numbered and not has_header)

    @property
    def is_numbered(self) -> bool:
        """Whether all columns that are given are given by number, users and items among them."""
        given = [name for name in self.roles.values() if name is not None]
        return self.user is not None and self.item is not None and all(map(_is_number, given))

    @property
    def said(self) -> dict[str, str]:
        """What differs from the defaults, by its key."""
        return {key: str(value) for key, value in self.model_dump(exclude_defaults=True).items()}


USUAL = Columns()


@dataclass(frozen=True)
class Found:
    """Where the events stand in one file."""

    columns: Columns
    """As they were asked for, each role with the name that its column has in the file; no `time` where none is read."""
    places: Mapping[Role, int]
    """The place of each role's column in the header, from 0."""
    header: tuple[str, ...]

    @property
    def time_unit(self) -> str:
        """What times that are numbers count."""
        return self.columns.time_unit or unit_of(self.columns.time or "") or "s"

    def note(self) -> str:
        """By what the events of a user are put in order, and which columns hold users and items, as a sentence."""
        if self.columns.order == "rows":
            return "the order of rows is taken for time, as columns.order=rows asks"
        if self.columns.time is None:
            others = [name for place, name in enumerate(self.header) if place not in self.places.values()]
            which, name = (f"'{clipped(others[0])}'", clipped(others[0])) if len(others) == 1 else ("another", "NAME")
            advice = f"; if {which} holds times, say columns.time={name}" if others else ""
            return f"no column of times among {listed(list(self.header))}: the order of rows is taken for time{advice}"
        user, item, time = (f"'{clipped(self.header[self.places[role]])}'" for role in ROLES)
        unit = "" if self.time_unit == "s" else f" ({_UNITS[self.time_unit]})"
        return f"column {time}{unit} orders the events of a user; users are in {user}, items in {item}"


def parse_columns(text: str) -> Columns:
    """Columns from `user=visitor,item=sku,time=ts`; a role that is left out keeps its usual name.

    Other settings of columns may stand among them (`separator=tab`). Raises ConfigurationError for any other form.

    >>> parse_columns("item=sku, time=ts").item
    'sku'
    """
    named: dict[str, str] = {}
    for part in text.split(","):
        role, _, name = (word.strip() for word in part.partition("="))
        if role not in Columns.model_fields:
            raise ConfigurationError(
                f"columns {text!r}: {role!r} is no role of a column; {suggest(role, Columns.model_fields)}"
            )
        if not name or role in named:
            fact = "is given twice" if role in named else "has no name"
            raise ConfigurationError(f"columns {text!r}: {role} {fact}; write each once: user=visitor,item=sku,time=ts")
        named[role] = name
    resolve(Columns, [("--columns", named)])  # which refuses a value in words
    return Columns.model_validate(named)


def find(file: Path | str, content: Content, asked: Columns, like: Columns | None = None) -> Found:
    """Where the events of a file are.

    Roles that `asked` leaves open are those of `like`, where the file has such columns, else those with usual names;
    `like` also says what orders the events and what ids may be, where `asked` does not. Raises DataError where a column
    is not there or cannot be told from another, ConfigurationError for what cannot be.
    """
    header = [str(name) for name in content.header]
    asked = asked if like is None else _completed(asked, like)
    if asked.order == "rows" and asked.time is not None:
        raise ConfigurationError(f"columns.order=rows reads no times: leave out columns.time={asked.time}")
    if content.layout is not None and any(asked.roles.values()):
        raise ConfigurationError(
            f"{file} holds {content.layout!r} without a header; leave out the names of columns{_by_number(content)}"
        )
    known = {} if like is None else like.roles
    places: dict[Role, int] = {}
    for role, name in asked.roles.items():
        if role == "time" and asked.order == "rows":
            continue
        if name is not None:
            places[role] = named(file, header, role, name)
        elif (before := known.get(role)) in header:
            places[role] = header.index(str(before))
        elif (place := _usual(file, content, header, role)) is not None:
            places[role] = place
    if len(set(places.values())) < len(places):
        raise ConfigurationError(f"columns {asked.said}: give each role a column of its own")
    names = {role: header[place] for role, place in places.items()}
    unit = asked.time_unit or (like.time_unit if like is not None and names.get("time") == like.time else None)
    columns = asked.model_copy(update={"time": None, **names, "time_unit": unit})
    return Found(columns, places, tuple(header))


def _by_number(content: Content) -> str:
    if content.separator is None:
        return ""
    return ", or give user and item by number (columns.user=1 columns.item=2)"


def _completed(asked: Columns, like: Columns) -> Columns:
    """What was asked and, where that was left open, what orders the events of another log and what its ids may be."""
    keys = {"missing"} if asked.time is not None else {"missing", "order"}
    return asked.model_copy(update={key: getattr(like, key) for key in keys - asked.model_fields_set})


def named(file: Path | str, header: list[str], role: Role, name: str) -> int:
    """The place of the column that a role was given by name or number. Raises DataError where there is none."""
    fitting = [each for each in header if each == name] or [each for each in header if each.partition(":")[0] == name]
    if not fitting and _is_number(name) and int(name) <= len(header):
        return int(name) - 1
    if fitting:
        return header.index(_one_of(file, fitting, role))
    fact = f"there are {len(header)} columns, no number {name}" if _is_number(name) else f"there is no column {name!r}"
    raise DataError(f"{file}: {fact}; {suggest(name, map(clipped, header[:50]))}; {_remedy(role)}")


def _usual(file: Path | str, content: Content, header: list[str], role: Role) -> int | None:
    fitting = usual(role, header)
    if fitting:
        return header.index(_one_of(file, fitting, role))
    if role == "time":
        return None
    separator = content.separator
    if separator is not None and (other := other_separator(separator.join(header), separator)):
        raise DataError(
            f"{file}: the first line is divided by {other!r} and not by {separator!r}; say so by "
            f"columns.separator={word_for(other)} (or --columns separator={word_for(other)})"
        )
    numbers = "by number, such as columns.user=1 columns.item=2 columns.time=4, or --columns user=1,item=2,time=4"
    if separator is not None and looks_like_data(header):
        raise DataError(
            f"{file}: the first row looks like data ({listed(header[:5])}) and not like names of columns; of a file "
            f"without a header give columns {numbers}"
        )
    known = suggest(role, map(clipped, header[:50]))
    without = "" if separator is None else f"; of a file without a header give columns {numbers}"
    raise DataError(f"{file}: there is no column {role!r}; {known}; {_remedy(role)}{without}")


def _one_of(file: Path | str, fitting: Sequence[str], role: Role) -> str:
    if len(fitting) > 1:
        if len(set(fitting)) == 1:
            raise DataError(
                f"{file}: {len(fitting)} columns are called {clipped(fitting[0])!r}; rename all but the one of the "
                f"{role}, or give columns by number and columns.header=yes"
            )
        names = " and ".join(map(repr, map(clipped, fitting)))
        rows = ", take the order of rows by columns.order=rows" if role == "time" else ""
        raise DataError(
            f"{file}: {names} could be the {role}; choose by columns.{role}=NAME among the settings or "
            f"--columns {role}=NAME{rows}, or rename the columns"
        )
    return fitting[0]


def _remedy(role: Role) -> str:
    return f"name the one that holds the {role} by columns.{role}=NAME among the settings, or --columns {role}=NAME"


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")


def settled_layout(columns: Columns, like: Columns | None, *, is_text: bool) -> Layout:
    """How a file is laid out: as was said, else as of another log, which counts for text alone."""
    if like is None or not is_text or columns.layout != AS_THE_FORMAT:
        return columns.layout
    return like.layout
