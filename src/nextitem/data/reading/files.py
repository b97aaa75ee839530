"""A file of events -> Interactions. What cannot be used is named by file, row (line of the file, from 1) and column.

Its format is one of the shelf `formats` (`choosing.py`). Text may be packed (`.csv.gz`, `.csv.zst`); it is UTF-8, blank
lines are skipped, and only csv knows quotes.
Ids in text are strings, unless every id of a column is an integer in canonical form ('7', not '007'): then they are
integers, so that they sort by size. Blanks around an id or a name of a column do not count in text, quoted or not:
'ann, x' is user 'ann' and item 'x'. Ids in parquet keep their type and their blanks. `times.py` tells which times are
understood.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from narwhals.typing import IntoFrame

from nextitem.data.doctor import left_out
from nextitem.data.interactions import Interactions
from nextitem.data.reading.checks import EventPart, EventSource, integers_if_canonical
from nextitem.data.reading.choosing import format_of, told_format
from nextitem.data.reading.columns import USUAL, Columns, Found, find, settled_layout
from nextitem.data.reading.format import Content, Format
from nextitem.data.reading.frames import FRAME, Frame, found_in_frame, source_of, understood
from nextitem.data.reading.names import listed
from nextitem.data.reading.opening import UNREADABLE, explained
from nextitem.data.reading.paths import require_file
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sieve import BadRowsError
from nextitem.data.reading.tables import require_rows
from nextitem.errors import ConfigurationError, DataError, NextitemError
from nextitem.settings.given import expanded, of_kind, path_of

Events = Path | str | IntoFrame
"""A file of events by its path, or a frame of them."""


def read_interactions(
    path: Events,
    columns: Columns = USUAL,
    like: Columns | None = None,
    *,
    rejected: RejectedRows | None = None,
) -> Interactions:
    """The events of a file, or of a frame (of pandas, polars, pyarrow and others) in place of its path, in their order.

    With `columns.on_bad_rows=skip` rows that cannot be used are left out and go to `rejected`, which is asked for then:
    every row of the file is an event that is returned, or stands there.

    `like` are the columns of the log that a model learnt from: those that `columns` leaves open are called the same in
    this file, or have usual names. Where that log had times, this one must have them too, or say columns.order=rows;
    where rows ordered that log, or words for missing values were ids in it, so it is here unless `columns` says no.

    A frame is read by the same rules; messages call it `frame`, and its rows count from 1.

    Raises DataError for a file or a row that is not what it must be, StorageError where the system refuses to read it,
    ConfigurationError where `columns` does not apply.
    """
    file = _given(path)
    columns = of_kind(columns, Columns, "columns", "Columns(user='visitor', item='sku', time='ts') are some")
    try:
        source = _source(file, columns, like, rejected)
        events = pl.concat([frame.collect() for frame in source.frames], how="diagonal")
        require_rows(source.file, events.height, source.rows)
        _require_any(source, events.height)
        part = source.checked(events)
        _require_used(source, len(part))
        user, item = (integers_if_canonical(ids) if source.is_text else ids for ids in (part.user, part.item))
        return Interactions.from_columns(
            user, item, part.time, nanoseconds=part.nanoseconds, kind=part.kind, missing="ids"
        )
    except UNREADABLE as error:
        raise _explained(file, error, columns, like) from error
    except BadRowsError as error:
        raise DataError(error.told()) from None


def found_in(path: Events, columns: Columns = USUAL, like: Columns | None = None) -> Found:
    """The columns that `read_interactions` takes the events from; raises what reading the first line raises."""
    file = _given(path)
    try:
        return _found(file, columns, like)
    except UNREADABLE as error:
        raise _explained(file, error, columns, like) from error


def read_parts(
    path: Path | str,
    columns: Columns = USUAL,
    events: int = 1_000_000,
    *,
    rejected: RejectedRows | None = None,
) -> Iterator[EventPart]:
    """The events of a file in file order, about `events` at a time, so that a file may be larger than the memory.

    Raises what `read_interactions` raises, and names the same rows, unless rows are bad in two ways: the part that has
    the first of them is told of. Rows that are left out are in `rejected` once the part is there that they are from.
    """
    file = expanded(path)
    try:
        source = _source(file, columns, rejected=rejected)
        batches = (batch for frame in source.frames for batch in frame.collect_batches(chunk_size=events))
        try:
            found = used = 0
            for batch in batches:
                if batch.height:
                    part = source.checked(batch)
                    found, used = found + batch.height, used + len(part)
                    if len(part):
                        yield part
            require_rows(file, found, source.rows)
            _require_any(source, found)
            _require_used(source, used)
        except BadRowsError as error:
            raise DataError(error.told(batches)) from None
    except UNREADABLE as error:
        raise _explained(file, error, columns) from error


def rows_of(path: Events, columns: Columns = USUAL, like: Columns | None = None) -> pl.Series:
    """The row that each event of `read_interactions` stands in, for messages about them; raises what that raises."""
    file = _given(path)
    try:
        source = _source(file, columns, like, RejectedRows())
        return source.checked(pl.concat([frame.collect() for frame in source.frames], how="diagonal")).row
    except UNREADABLE as error:
        raise _explained(file, error, columns, like) from error


def is_text(path: Path | str, columns: Columns = USUAL) -> bool:
    """Whether ids in the file are text, which stands for integers where all of it does. May raise DataError."""
    file = expanded(path)
    require_file(file)
    return format_of(file, columns).is_text


def _given(events: Events) -> Path | Frame:
    return path_of(events, "path") if isinstance(events, str | os.PathLike) else understood(events)


def _explained(
    file: Path | Frame, error: BaseException, columns: Columns, like: Columns | None = None
) -> NextitemError:
    if not isinstance(file, Path):
        return DataError(f"{FRAME} could not be read: {' '.join(str(error).split())[:200]}")
    form = told_format(file, columns, like)
    return explained(file, error, is_text=form is None or form.may_be_packed)


def _require_any(source: EventSource, rows: int) -> None:
    if not rows:
        raise DataError(f"{source.file} has a header and no events; give a file with at least one event")


def _require_used(source: EventSource, events: int) -> None:
    if not events and source.rejected is not None:
        reasons = left_out(source.rejected.reasons)
        raise DataError(f"{source.file} has no row that can be used: {reasons}; correct the file")


def _source(
    file: Path | Frame, columns: Columns, like: Columns | None = None, rejected: RejectedRows | None = None
) -> EventSource:
    if columns.on_bad_rows == "skip" and rejected is None:
        raise ConfigurationError(
            "columns.on_bad_rows=skip leaves rows out, which nobody would be told of; pass rejected=RejectedRows() too"
        )
    kept = None if columns.on_bad_rows == "refuse" else rejected
    if not isinstance(file, Path):
        return source_of(file, _found(file, columns, like), kept)
    form, content = _content(file, columns, like)
    found = _timed(file, find(file, content, columns, like), columns, like)
    frames = content.frames(found.places)
    has_header = form.is_text and not content.is_headless
    is_doubtful = content.is_headless and columns.header is None
    if columns.on_bad_rows == "refuse":  # of which nobody wants to know what stands in them
        frames = (frame.drop("fields", strict=False) for frame in frames)
    return EventSource(
        file, frames, found, form.is_text, content.separator, content.rows, has_header, is_doubtful, kept
    )


def _found(file: Path | Frame, columns: Columns, like: Columns | None) -> Found:
    if not isinstance(file, Path):
        return _timed(FRAME, found_in_frame(file, columns, like), columns, like)
    return _timed(file, find(file, _content(file, columns, like)[1], columns, like), columns, like)


def _timed(file: Path | str, found: Found, columns: Columns, like: Columns | None) -> Found:
    """The same. Raises DataError where the log of `like` had times, and these events have none."""
    if like is not None and like.time is not None and found.columns.time is None and columns.order == "time":
        raise DataError(
            f"the model learnt from events in the order of {like.time!r}, and {file} has no column of times among "
            f"{listed(list(found.header))}; name it by --columns time=NAME, or take the order of rows by --columns "
            f"order=rows"
        )
    return found


def _content(file: Path, columns: Columns, like: Columns | None) -> tuple[Format, Content]:
    require_file(file)
    form = format_of(file, columns, like)
    content = form.content(file, settled_layout(columns, like, is_text=form.is_text))
    if content is None:
        raise DataError(f"{file} is empty; give a file with at least one event")
    return form, content
