"""A file of events -> Interactions. What cannot be used is named by file, row (line of the file, from 1) and column.

The ending of a name tells its format, one of the shelf `formats`. All but parquet may be gzip-compressed (`.csv.gz`).
Text is UTF-8, blank lines are skipped, and only csv knows quotes.
Ids in text are strings, unless every id of a column is an integer in canonical form ('7', not '007'): then they are
integers, so that they sort by size. Blanks around an id or a name of a column do not count in text, quoted or not:
'ann, x' is user 'ann' and item 'x'. Ids in parquet keep their type and their blanks. `times.py` tells which times are
understood.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from pydantic import Field

from nextitem.data.interactions import Interactions
from nextitem.data.reading.checks import BadRowsError, EventPart, EventSource, clipped, integers_if_canonical
from nextitem.data.reading.format import Format
from nextitem.data.reading.formats import EVENT_FORMATS
from nextitem.data.reading.opening import UNREADABLE, explained
from nextitem.data.reading.tables import require_rows
from nextitem.errors import ConfigurationError, DataError, StorageError
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import expanded
from nextitem.settings.suggestion import suggest


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
_NO_EVENTS = "{file} has a header and no events; give a file with at least one event"
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
    file = expanded(path)
    try:
        source = _source(file, columns)
        events = pl.concat([frame.collect() for frame in source.frames])
        require_rows(file, events.height, source.rows)
        if not events.height:
            raise DataError(_NO_EVENTS.format(file=file))
        part = source.checked(events)
        user, item = (integers_if_canonical(ids) if source.is_text else ids for ids in (part.user, part.item))
        return Interactions.from_columns(user, item, part.time)
    except UNREADABLE as error:
        raise _explained(file, error) from error
    except BadRowsError as error:
        raise DataError(error.told()) from None


def read_parts(path: Path | str, columns: Columns = _USUAL_NAMES, events: int = 1_000_000) -> Iterator[EventPart]:
    """The events of a file in file order, about `events` at a time, so that a file may be larger than the memory.

    Raises what `read_interactions` raises, and names the same rows, unless rows are bad in two ways: the part that has
    the first of them is told of.
    """
    file = expanded(path)
    try:
        source = _source(file, columns)
        batches = (batch for frame in source.frames for batch in frame.collect_batches(chunk_size=events))
        try:
            found = 0
            for batch in batches:
                if batch.height:
                    found += batch.height
                    yield source.checked(batch)
            require_rows(file, found, source.rows)
            if not found:
                raise DataError(_NO_EVENTS.format(file=file))
        except BadRowsError as error:
            raise DataError(error.told(batches)) from None
    except UNREADABLE as error:
        raise _explained(file, error) from error


def rows_of(path: Path | str, columns: Columns = _USUAL_NAMES) -> pl.Series:
    """The row that each event of `read_interactions` stands in, for messages about them; raises what that raises."""
    file = Path(path)
    try:
        return pl.concat([frame.select("row").collect() for frame in _source(file, columns).frames])["row"]
    except UNREADABLE as error:
        raise _explained(file, error) from error


def is_text(path: Path | str) -> bool:
    """Whether ids in the file are text, which stands for integers where all of it does. May raise DataError."""
    return _format_of(expanded(path)).is_text


def _explained(file: Path, error: BaseException) -> DataError | StorageError:
    form = _format_named(file)
    return explained(file, error, is_text=form is None or form.is_text)


def _format_of(file: Path) -> Format:
    if not file.exists():
        raise DataError(f"there is no file {file}; {_near(file)}")
    if file.is_dir():
        raise DataError(f"{file} is a folder; name one file in it")
    form = _format_named(file)
    if form is None:
        text, typed = ([e for f in EVENT_FORMATS if f.is_text is wanted for e in f.endings] for wanted in (True, False))
        known = suggest(file.name.lower(), [*text, *(f"{ending}.gz" for ending in text), *typed])
        raise DataError(f"{file}: the ending of the name has to tell the format; {known}")
    return form


def _format_named(file: Path) -> Format | None:
    name = file.name.lower()
    for form in EVENT_FORMATS:
        if name.endswith(form.endings) or (form.is_text and name.removesuffix(".gz").endswith(form.endings)):
            return form
    return None


def _near(file: Path) -> str:
    if not file.parent.is_dir():
        return f"nor is there a folder {file.parent}; check the path"
    names = [entry.name for entry in file.parent.iterdir()]
    near = [repr(name) for name in difflib.get_close_matches(file.name, names)]
    return f"did you mean {' or '.join(near)}?" if near else f"none of the {len(names):,} names beside it is similar"


def _source(file: Path, columns: Columns) -> EventSource:
    form = _format_of(file)
    content = form.content(file)
    if content is None:
        raise DataError(f"{file} is empty; give a file with at least one event")
    if content.layout is not None and columns != _USUAL_NAMES:
        raise ConfigurationError(f"{file} holds {content.layout!r} without a header; leave out the names of columns")
    header = list(content.header)
    positions = _positions(file, header, columns)
    names = {role: header[position] for role, position in positions.items()}
    return EventSource(file, content.frames(positions), header, names, form.is_text, content.separator, content.rows)


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
        names = " and ".join(map(repr, map(clipped, fitting)))
        raise DataError(
            f"{file}: {names} could be the {role}; choose by columns.{role}=NAME among the settings or "
            f"--columns {role}=NAME, or rename the columns"
        )
    if fitting:
        return header.index(fitting[0])
    if asked is None and role == "time":
        return None
    known = suggest(asked or role, map(clipped, header[:50]))
    remedy = f"name the one that holds the {role} by columns.{role}=NAME among the settings, or --columns {role}=NAME"
    raise DataError(f"{file}: the header has no column {asked or role!r}; {known}; {remedy}")


def _plain(name: str) -> str:
    return name.lower().partition(":")[0].translate(str.maketrans("", "", " _-"))
