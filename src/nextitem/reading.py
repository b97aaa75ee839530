"""A file of events -> Interactions. What cannot be used is named by file, row (line of the file, from 1) and column.

    .csv  .tsv  .inter    comma or tab separated, with a header (`.inter` is RecBole's: `user_id:token`)
    .txt                  `user item` pairs, one space, no header; the order of lines is the order in time
    .parquet              typed columns; rows are counted from 1

All but parquet may be gzip-compressed (`.csv.gz`). Text is UTF-8, blank lines are skipped, and only csv knows quotes.
Ids in text are strings, unless every id of a column is an integer in canonical form ('7', not '007'): then they are
integers, so that they sort by size. Blanks around an id or a name of a column do not count in text, quoted or not:
'ann, x' is user 'ann' and item 'x'. Ids in parquet keep their type and their blanks. `times.py` tells which times are
understood.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import Field

from nextitem.configuration import Configuration, suggest
from nextitem.errors import ConfigurationError, DataError
from nextitem.interactions import Interactions
from nextitem.records import FORMATS, UNREADABLE, Format, explained, first_record, records
from nextitem.times import EARLIEST, LATEST, unix_seconds


class Columns(Configuration):
    """Header names of the columns that hold the events; None stands for the usual name.

    In a usual name case, spaces, `_`, `-` and what follows a colon do not count: `userId` and `user_id:token` are one.
    """

    user: str | None = Field(default=None, min_length=1)
    """Name of the column of user ids; usually user or user_id."""
    item: str | None = Field(default=None, min_length=1)
    """Name of the column of item ids; usually item or item_id."""
    time: str | None = Field(default=None, min_length=1)
    """Name of the column of times; usually time or timestamp. Without one the order of rows is the order in time."""


_USUAL_NAMES = Columns()
_USUAL = {"user": ("user", "userid"), "item": ("item", "itemid"), "time": ("time", "timestamp")}


def parse_columns(text: str) -> Columns:
    """Columns from `user=visitor,item=sku,time=ts`; a role that is left out keeps its usual name.

    Raises ConfigurationError for any other form.

    >>> parse_columns("item=sku, time=ts")
    Columns(user=None, item='sku', time='ts')
    """
    named: dict[str, str] = {}
    for part in text.split(","):
        role, _, name = (word.strip() for word in part.partition("="))
        if role not in _USUAL:
            raise ConfigurationError(f"columns {text!r}: {role!r} is no role of a column; {suggest(role, _USUAL)}")
        if not name or role in named:
            fact = "is given twice" if role in named else "has no name"
            raise ConfigurationError(f"columns {text!r}: {role} {fact}; write each once: user=visitor,item=sku,time=ts")
        named[role] = name
    return Columns(**named)


def read_interactions(path: Path | str, columns: Columns = _USUAL_NAMES) -> Interactions:
    """The events of a file, in file order.

    Raises DataError for a file or a row that is not what it must be, StorageError where the system refuses to read it,
    ConfigurationError where `columns` does not apply.
    """
    file = Path(path)
    try:
        ending = _ending(file)
        table = _from_parquet(file, columns) if ending == ".parquet" else _from_text(file, FORMATS[ending], columns)
        if not table.events.height:
            raise DataError(f"{file} has a header and no events; give a file with at least one event")
        return Interactions.from_columns(table.ids("user"), table.ids("item"), table.times())
    except UNREADABLE as error:
        raise explained(file, error) from error


def _ending(file: Path) -> str:
    if not file.exists():
        raise DataError(f"there is no file {file}; {_near(file)}")
    if file.is_dir():
        raise DataError(f"{file} is a folder; name one file in it")
    name = file.name.lower()
    known = [*FORMATS, *(f"{text}.gz" for text in FORMATS), ".parquet"]
    if not name.endswith(tuple(known)):
        raise DataError(f"{file}: the ending of the name has to tell the format; {suggest(name, known)}")
    return Path(name.removesuffix(".gz")).suffix


def _near(file: Path) -> str:
    if not file.parent.is_dir():
        return f"nor is there a folder {file.parent}; check the path"
    names = [entry.name for entry in file.parent.iterdir()]
    near = [repr(name) for name in difflib.get_close_matches(file.name, names)]
    return f"did you mean {' or '.join(near)}?" if near else f"none of the {len(names):,} names beside it is similar"


@dataclass(frozen=True)
class _Table:
    """What matters of a file: the columns `row`, `user`, `item` and, if there is one, `time`."""

    file: Path
    events: pl.DataFrame
    names: dict[str, str]  # role -> name in the file
    is_text: bool

    def ids(self, role: str) -> pl.Series:
        column = self._present(role)
        if isinstance(column.dtype, pl.Categorical | pl.Enum):
            column = column.cast(pl.String)
        if column.dtype.is_integer():
            signed = column.cast(pl.Int64, strict=False)
            self._require(role, signed.is_not_null(), "is beyond 64 bits with a sign; store such ids as strings")
            return signed
        if column.dtype != pl.String:
            raise self._wrong_type(role, "ids are strings or integers")
        stripped = column.str.strip_chars()
        self._require(role, stripped != "", "is blank; every event needs an id, give it or drop the row")
        return _integers_if_canonical(stripped) if self.is_text else column

    def times(self) -> pl.Series | None:
        if "time" not in self.names:
            return None
        seconds = unix_seconds(self._present("time"))
        if seconds is None:
            raise self._wrong_type("time", "times are numbers (unix seconds), dates, or text in ISO 8601")
        self._require(
            "time",
            seconds.is_not_null(),
            "is not a time; write unix seconds or ISO 8601 (2024-01-31T12:00:00Z), one of them throughout the column",
        )
        self._require(
            "time",
            seconds.is_between(EARLIEST, LATEST),
            "lies outside the years 1 to 9999 if taken as unix seconds; divide milliseconds by 1,000",
        )
        return seconds

    def _present(self, role: str) -> pl.Series:
        column = self.events[role]
        self._require(role, column.is_not_null(), "is missing; every event needs a value, give it or drop the row")
        return column

    def _require(self, role: str, is_good: pl.Series, problem: str) -> None:
        bad = self.events.filter(~is_good)
        if bad.height:
            value = "the value" if bad[role][0] is None else _shown(bad[role][0])
            raise DataError(f"{self.file}:{bad['row'][0]}:{self.names[role]}: {value} {problem}{_rows(bad)}")

    def _wrong_type(self, role: str, what: str) -> DataError:
        holds = self.events[role].dtype
        return DataError(f"{self.file}: column {self.names[role]!r} holds {holds}, but {what}; convert it")


def _from_parquet(file: Path, columns: Columns) -> _Table:
    with file.open("rb"):  # the system's own refusal says more than the reader's
        scan = pl.scan_parquet(file, glob=False)
    header = scan.collect_schema().names()
    positions = _positions(file, header, columns)
    wanted = {role: pl.nth(position) for role, position in positions.items()}
    events = scan.select(**wanted).with_row_index("row", offset=1).collect()
    return _Table(file, events, {role: header[position] for role, position in positions.items()}, is_text=False)


def _from_text(file: Path, form: Format, columns: Columns) -> _Table:
    first = first_record(file, form)
    if first is None:
        raise DataError(f"{file} is empty; give a file with at least one event")
    if not form.has_header and columns != _USUAL_NAMES:
        raise ConfigurationError(f"{file} holds 'user item' pairs without a header; leave out the names of columns")
    header_row, header = (first[0], [name.strip() for name in first[1]]) if form.has_header else (0, ["user", "item"])
    positions = _positions(file, header, columns)
    fields, width = pl.col("fields"), pl.col("fields").list.len()
    wanted = {role: fields.list.get(position, null_on_oob=True) for role, position in positions.items()}
    uneven = pl.when(width != len(header)).then(fields.list.join(form.separator))
    parts = [
        part.filter(pl.col("row") > header_row).select("row", width=width, uneven=uneven, **wanted).collect()
        for part in records(file, form)
    ]
    events = pl.concat(parts)
    bad = events.filter(pl.col("uneven").is_not_null())
    if bad.height:
        row, number, text = bad.row(0)[:3]
        raise DataError(
            f"{file}:{row}: {_shown(text)} has {number} fields separated by {form.separator!r}, not {len(header)} "
            f"({', '.join(map(_clipped, header[:50]))}); correct the row or drop it{_rows(bad)}"
        )
    return _Table(file, events, {role: header[position] for role, position in positions.items()}, is_text=True)


def _positions(file: Path, header: list[str], columns: Columns) -> dict[str, int]:
    """Where each role is in the header; `time` is absent where no column has a usual name for it."""
    asked = {"user": columns.user, "item": columns.item, "time": columns.time}
    found = {role: _position(file, header, role, name) for role, name in asked.items()}
    positions = {role: position for role, position in found.items() if position is not None}
    if len(set(positions.values())) < len(positions):
        raise ConfigurationError(f"columns {columns.model_dump(exclude_none=True)}: give each role a column of its own")
    return positions


def _position(file: Path, header: list[str], role: str, asked: str | None) -> int | None:
    fitting = [name for name in header if (_plain(name) in _USUAL[role] if asked is None else name == asked)]
    if asked is not None and not fitting:
        fitting = [name for name in header if name.partition(":")[0] == asked]
    if len(fitting) > 1:
        names = " and ".join(map(repr, map(_clipped, fitting)))
        raise DataError(f"{file}: {names} could be the {role}; choose by --columns {role}=NAME, or rename the columns")
    if fitting:
        return header.index(fitting[0])
    if asked is None and role == "time":
        return None
    known = suggest(asked or role, map(_clipped, header[:50]))
    remedy = f"name the one that holds the {role} by --columns {role}=NAME"
    raise DataError(f"{file}: the header has no column {asked or role!r}; {known}; {remedy}")


def _plain(name: str) -> str:
    return name.lower().partition(":")[0].translate(str.maketrans("", "", " _-"))


def _integers_if_canonical(column: pl.Series) -> pl.Series:
    integers = column.cast(pl.Int64, strict=False)
    return integers if bool((integers.cast(pl.String) == column).fill_null(False).all()) else column


def _rows(bad: pl.DataFrame) -> str:
    if bad.height == 1:
        return ""
    first = ", ".join(str(row) for row in bad["row"].head(5))
    return f" ({bad.height:,} such rows: {first}{', …' if bad.height > 5 else ''})"


def _clipped(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"


def _shown(value: object) -> str:
    return _clipped(repr(value))
