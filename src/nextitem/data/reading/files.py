"""Events -> Interactions. What cannot be used is named by file, row (line of the file, from 1) and column.

Events are in a file, in several that are one log, or in a frame (`sources.py`). The format of a file is one of the
shelf `formats` (`choosing.py`). Text may be packed (`.csv.gz`, `.csv.zst`); it is UTF-8, blank lines are skipped, and
only csv knows quotes.
Ids in text are strings, unless every id of a column is an integer in canonical form ('7', not '007'): then they are
integers, so that they sort by size. Blanks around an id or a name of a column do not count in text, quoted or not:
'ann, x' is user 'ann' and item 'x'. Ids in parquet keep their type and their blanks. `times.py` tells which times are
understood.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.data.interactions import Interactions
from nextitem.data.notes import left_out
from nextitem.data.reading.checks import EventPart, EventSource, integers_if_canonical
from nextitem.data.reading.columns import USUAL, Columns, Found
from nextitem.data.reading.opening import UNREADABLE
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.shards import require_alike
from nextitem.data.reading.sieve import BadRowsError
from nextitem.data.reading.sources import (
    Asked,
    Events,
    Opened,
    Place,
    called,
    explained_of,
    has_text,
    opened,
    places_in,
    source_of,
)
from nextitem.data.reading.steady import unchanged
from nextitem.data.reading.tables import require_rows
from nextitem.data.reading.time_checks import Seen
from nextitem.errors import DataError
from nextitem.settings.given import of_kind

_COLUMNS = "Columns(user='visitor', item='sku', time='ts') are some"


def read_interactions(
    path: Events,
    columns: Columns = USUAL,
    like: Columns | None = None,
    *,
    rejected: RejectedRows | None = None,
) -> Interactions:
    """The events of a file, of several, or of a frame (of pandas, polars, pyarrow and others), in their order.

    A folder stands for the files in it, and `*` in a path for any characters; several files are read in the order of
    their names, and have to be alike. A frame is given in place of the path; messages call it `frame`, and its rows
    count from 1.

    With `columns.on_bad_rows=skip` rows that cannot be used are left out and go to `rejected`, which is asked for then:
    every row of the file is an event that is returned, or stands there.

    `like` are the columns of the log that a model learnt from: those that `columns` leaves open are called the same in
    this file, or have usual names. Where that log had times, this one must have them too, or say columns.order=rows;
    where rows ordered that log, or words for missing values were ids in it, so it is here unless `columns` says no.

    Raises DataError for a file or a row that is not what it must be, StorageError where the system refuses to read it,
    ConfigurationError where `columns` does not apply.
    """
    asked = Asked(of_kind(columns, Columns, "columns", _COLUMNS), like, rejected)
    places = places_in(path)
    first = _alike(places, asked)
    part = _joined([_whole(place, asked, is_alone=len(places) == 1) for place in places])
    _require_some(path, len(part))
    user, item = (integers_if_canonical(ids) if first.is_text else ids for ids in (part.user, part.item))
    return Interactions.from_columns(user, item, part.time, nanoseconds=part.nanoseconds, kind=part.kind, missing="ids")


def found_in(path: Events, columns: Columns = USUAL, like: Columns | None = None) -> Found:
    """The columns that `read_interactions` takes the events from; raises what reading the first line raises.

    Of several files the first lines are compared: raises DataError where they are not alike.
    """
    return _alike(places_in(path), Asked(columns, like)).found


def read_parts(
    path: Events,
    columns: Columns = USUAL,
    events: int = 1_000_000,
    *,
    rejected: RejectedRows | None = None,
) -> Iterator[EventPart]:
    """The events in their order, about `events` at a time, so that a file may be larger than the memory.

    Raises what `read_interactions` raises, and names the same rows, unless rows are bad in two ways: the part that has
    the first of them is told of. Rows that are left out are in `rejected` once the part is there that they are from.
    """
    asked = Asked(columns, rejected=rejected)
    places = places_in(path)
    _alike(places, asked)
    found = 0
    for place in places:
        for part in _in_parts(place, asked, events, is_alone=len(places) == 1):
            found += len(part)
            yield part
    _require_some(path, found)


def read_shard(
    file: Path, columns: Columns, seen: Seen, rejected: RejectedRows, events: int = 1_000_000
) -> Iterator[EventPart]:
    """As `read_parts`, of one of several files that are one log and alike; it may have no event.

    `seen` is what was seen of the times of the log before, and tells afterwards what was seen of these.
    """
    return _in_parts(file, Asked(columns, rejected=rejected, seen=seen), events, is_alone=False)


def places_of(path: Events, columns: Columns = USUAL, like: Columns | None = None) -> pl.DataFrame:
    """`file` and `row` of each event of `read_interactions`, for messages about them; raises what that raises."""
    asked = Asked(columns, like, RejectedRows())
    places = places_in(path)
    rows = ((called(place), _whole(place, asked, is_alone=len(places) == 1).row) for place in places)
    return pl.concat(pl.DataFrame({"row": row}).select(pl.lit(name).alias("file"), "row") for name, row in rows)


def rows_of(path: Events, columns: Columns = USUAL, like: Columns | None = None) -> pl.Series:
    """The `row` of `places_of`, which says all of one file."""
    return places_of(path, columns, like)["row"]


def is_text(path: Events, columns: Columns = USUAL) -> bool:
    """Whether ids are text, which stands for integers where all of it does. May raise DataError."""
    return has_text(places_in(path)[0], Asked(columns))


def _alike(places: Sequence[Place], asked: Asked) -> Opened:
    """The first of the places. Raises DataError where another one is not like it."""
    first = _opened(places[0], asked)
    for place in places[1:]:
        require_alike(first, _opened(place, asked))
    return first


def _opened(place: Place, asked: Asked) -> Opened:
    with reading(place, asked):
        return opened(place, asked)


def _whole(place: Place, asked: Asked, *, is_alone: bool) -> EventPart:
    """All events of a file or frame; of several files one may have none."""
    with reading(place, asked):
        source = source_of(place, asked)
        events = pl.concat([frame.collect() for frame in source.frames], how="diagonal")
        require_rows(source.file, events.height, source.rows)
        _require_any(source, events.height, is_alone=is_alone)
        part = source.checked(events)
        _require_used(source, events.height, len(part))
        return part


def _in_parts(place: Place, asked: Asked, at_once: int, *, is_alone: bool) -> Iterator[EventPart]:
    """The events of a file or frame, about so many at once; of several files one may have none."""
    with reading(place, asked) as require_same:
        source = source_of(place, asked)
        batches = (batch for frame in source.frames for batch in frame.collect_batches(chunk_size=at_once))
        try:
            found = used = 0
            for batch in batches:
                require_same()
                if batch.height:
                    part = source.checked(batch)
                    found, used = found + batch.height, used + len(part)
                    if len(part):
                        yield part
            require_rows(source.file, found, source.rows)
            _require_any(source, found, is_alone=is_alone)
            _require_used(source, found, used)
        except BadRowsError as error:
            raise DataError(error.told(batches)) from None


@contextmanager
def reading(place: Place, asked: Asked) -> Iterator[Callable[[], None]]:
    """A file or frame that is read in the block, as `unchanged`; what goes wrong there is told in words.

    Raises DataError and StorageError.
    """
    with unchanged(place) if isinstance(place, Path) else nullcontext(_nothing) as require_same:
        try:
            yield require_same
        except UNREADABLE as error:
            raise explained_of(place, error, asked) from error
        except BadRowsError as error:
            raise DataError(error.told()) from None


def _nothing() -> None:
    """What is asked of a frame, which no other program writes to."""


def _require_any(source: EventSource, rows: int, *, is_alone: bool) -> None:
    # Of several files one that says itself that it has no rows is whole; of a text with a header alone nobody knows.
    is_none_stated = source.rows == 0 and not is_alone
    if not rows and not is_none_stated:
        raise DataError(f"{source.file} has a header and no events; give a file with at least one event")


def _require_some(path: Events, events: int) -> None:
    if not events:
        raise DataError(f"{path}: none of the files has an event; give one with at least one event")


def _require_used(source: EventSource, rows: int, events: int) -> None:
    if rows and not events and source.rejected is not None:
        reasons = left_out(source.rejected.reasons)
        raise DataError(f"{source.file} has no row that can be used: {reasons}; correct the file")


def _joined(parts: Sequence[EventPart]) -> EventPart:
    """All of them as one; where some have no `nanoseconds`, theirs are 0."""
    if len(parts) == 1:
        return parts[0]
    joined = dict[str, Any]()
    for name in (field.name for field in fields(EventPart) if field.name != "file"):
        columns = [getattr(part, name) for part in parts]
        if all(column is None for column in columns):
            continue
        zeros = (pl.repeat(0, len(part), dtype=pl.Int64, eager=True) for part in parts)
        whole = [zero if column is None else column for column, zero in zip(columns, zeros, strict=True)]
        is_mixed = len({column.dtype for column in whole}) > 1  # whole seconds and others
        joined[name] = pl.concat([column.cast(pl.Float64) if is_mixed else column for column in whole])
    return EventPart(**joined)
