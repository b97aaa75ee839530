"""Columns of an event file -> checked events. What cannot be used is named by file, row and column."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import DataFrame, Series

from nextitem.data.interactions import MISSING_WORDS
from nextitem.data.reading.appearance import looks_like_names, other_separator, word_for
from nextitem.data.reading.columns import Found
from nextitem.data.reading.names import clipped, listed
from nextitem.data.reading.times import EARLIEST, LATEST, UNITS, Times, fitting_unit, since_1970, times_of
from nextitem.errors import DataError

_ENOUGH = 1_000
"""Events beside the first one that tell whether it stands alone: as many whether a file is read whole or in parts."""
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@dataclass(frozen=True)
class EventPart:
    """Some events of a file, checked, in file order; ids from text are strings, whatever they look like."""

    user: Series
    item: Series
    time: Series | None = None
    nanoseconds: Series | None = None
    """By how many each event lies after its time, where the order rests on that."""

    def __len__(self) -> int:
        return len(self.user)


class BadRowsError(Exception):
    """Some of the events cannot be used: which ones, and how the first of them is told of."""

    def __init__(self, among: Callable[[DataFrame], DataFrame], found: DataFrame, tell: Callable[[DataFrame], str]):
        self.among, self.found, self.tell = among, found, tell

    def told(self, further: Iterable[DataFrame] = ()) -> str:
        """The message, with the number of rows that are bad in this way, in `further` batches too."""
        rows, count = self.found["row"].head(5).to_list(), self.found.height
        for batch in further:
            more = self.among(batch)["row"]
            rows, count = (rows + more.head(5).to_list())[:5], count + len(more)
        listed = ", ".join(map(str, rows))
        others = "" if count == 1 else f" ({count:,} such rows: {listed}{', …' if count > 5 else ''})"
        return self.tell(self.found) + others


@dataclass
class EventSource:
    """What matters of a file: frames of the columns `row`, `user`, `item` and, if there is one, `time`."""

    file: Path
    frames: Iterator[pl.LazyFrame]
    found: Found
    is_text: bool
    separator: str | None  # of the fields of a line, whose number may then be wrong
    rows: int | None  # as the file states them
    has_header: bool  # as a line of its own, which may then stand in it more than once
    may_be_header: bool  # the first event, since nobody said that it is one
    first_time: Series | None = None
    """The file's first time: whether times in text are numbers or dates is decided by it."""

    def checked(self, events: DataFrame) -> EventPart:
        """The events, as columns. Raises BadRowsError, and DataError for a column of the wrong type."""
        self._require_even(events)
        if self.has_header:
            self._require_one_header(events)
        if self.may_be_header and events.height:
            self._require_no_header(events)
        user, item = self._ids(events, "user"), self._ids(events, "item")
        times = self._times(events)
        return EventPart(user, item) if times is None else EventPart(user, item, times.seconds, times.nanoseconds)

    def _require_one_header(self, events: DataFrame) -> None:
        is_header = pl.all_horizontal(pl.col(role).str.strip_chars() == self._name(role) for role in self.found.places)

        def tell(bad: DataFrame) -> str:
            return (
                f"{self.file}:{bad['row'][0]}: the header stands here a second time, as where files were put together; "
                f"drop the row"
            )

        _refuse(events, lambda batch: batch.filter(is_header), tell)

    def _require_no_header(self, events: DataFrame) -> None:
        self.may_be_header = False
        row, user, item = events.select("row", "user", "item").row(0)
        rest = events.slice(1, _ENOUGH)
        stands_alone = rest.height > 0 and all(
            not _are_numbers(events[role].head(1)) and _are_numbers(rest[role]) for role in ("user", "item")
        )
        if stands_alone or looks_like_names(str(user), str(item)):
            raise DataError(
                f"{self.file}:{row}: {_shown(user)} and {_shown(item)} look like names of columns and not like the "
                f"user and the item of an event; say columns.header=yes if they are names, columns.header=no if not"
            )

    def _ids(self, events: DataFrame, role: str) -> Series:
        column = self._present(events, role)
        if isinstance(column.dtype, pl.Categorical | pl.Enum):
            column = column.cast(pl.String)
        if column.dtype.is_integer():
            problem = "is beyond 64 bits with a sign; store such ids as strings"
            self._require(events, role, lambda ids: ids.cast(pl.Int64, strict=False).is_not_null(), problem)
            return column.cast(pl.Int64)
        if column.dtype != pl.String:
            raise self._wrong_type(role, column, "ids are strings or integers")
        problem = "is blank; every event needs an id, give it or drop the row"
        self._require(events, role, lambda ids: ids.cast(pl.String).str.strip_chars() != "", problem)
        if self.found.columns.missing == "refuse":
            problem = "stands for a missing value; give it, drop the row, or say columns.missing=ids if it is an id"
            self._require(events, role, lambda ids: ~is_missing_word(ids.cast(pl.String)), problem)
        return column.str.strip_chars() if self.is_text else column

    def _times(self, events: DataFrame) -> Times | None:
        if "time" not in self.found.places:
            return None
        column = self._present(events, "time")
        if column.dtype == pl.String:
            problem = "is missing; every event needs a time, give it or drop the row"
            self._require(events, "time", lambda times: ~(is_missing_word(times) | is_blank(times)), problem)
        if self.first_time is None and len(column):
            self.first_time = column.head(1)
        times = self._understood(column)
        if times is None:
            raise self._wrong_type("time", column, "times are numbers (unix seconds), dates, or text in ISO 8601")
        if bool(times.seconds.is_between(EARLIEST, LATEST).fill_null(False).all()):
            return times
        problem = "is not a time; write unix seconds or ISO 8601 (2024-01-31T12:00:00Z), one of them throughout"
        self._require(events, "time", self._are_times, f"{problem} the column")
        self._require(events, "time", self._are_in_range, self._out_of_range(column, times.seconds))
        return times

    def _understood(self, column: Series) -> Times | None:
        unit = self.found.time_unit
        if self.found.columns.time_unit is not None and self._are_dates(column):
            raise DataError(
                f"{self.file}: column {self._name('time')!r} holds dates, which have no unit; leave out "
                f"columns.time_unit={unit}"
            )
        if self.first_time is None or column.dtype != pl.String:
            return times_of(column, unit)
        times = times_of(pl.concat([self.first_time, column]), unit)
        if times is None:
            return None
        return Times(times.seconds[1:], None if times.nanoseconds is None else times.nanoseconds[1:])

    def _are_dates(self, column: Series) -> bool:
        if column.dtype != pl.String:
            return column.dtype.is_temporal()
        first = column.head(1) if self.first_time is None else self.first_time
        return bool(first.str.strip_chars().cast(pl.Float64, strict=False).null_count())

    def _are_times(self, column: Series) -> Series:
        times = self._understood(column)
        return column.is_null() if times is None else times.seconds.is_not_null() | column.is_null()

    def _are_in_range(self, column: Series) -> Series:
        times = self._understood(column)
        return column.is_null() if times is None else times.seconds.is_between(EARLIEST, LATEST).fill_null(True)

    def _out_of_range(self, column: Series, seconds: Series) -> str:
        """What is told of a time beyond all years: in which unit it would be one."""
        if column.dtype.is_temporal():
            return "lies outside the years 1 to 9999; correct the row or drop it"
        unit = self.found.time_unit
        problem = f"lies outside the years 1 to 9999 if taken as unix {_UNIT_NAMES[unit]}"
        first = seconds.filter(~seconds.is_between(EARLIEST, LATEST))[0]
        better = fitting_unit(float(first) * UNITS[unit])
        if better is None:
            return f"{problem}, and in any smaller unit; correct the row or drop it"
        return f"{problem}; if the column holds {_UNIT_NAMES[better]}, say columns.time_unit={better}"

    def _present(self, events: DataFrame, role: str) -> Series:
        problem = "is missing; every event needs a value, give it or drop the row"
        self._require(events, role, lambda column: column.is_not_null(), problem)
        return events[role]

    def _require(self, events: DataFrame, role: str, are_good: Callable[[Series], Series], problem: str) -> None:
        def tell(bad: DataFrame) -> str:
            value = "the value" if bad[role].head(1).null_count() else _first_shown(bad[role])
            return f"{self.file}:{bad['row'][0]}:{self._name(role)}: {value} {problem}"

        _refuse(events, lambda batch: batch.filter(~are_good(batch[role])), tell)

    def _require_even(self, events: DataFrame) -> None:
        def tell(bad: DataFrame) -> str:
            row, number, text = bad.select("row", "width", "uneven").row(0)
            header, separator = list(self.found.header), str(self.separator)
            other = other_separator(text, separator)
            advice = "" if other is None else f", or say columns.separator={word_for(other)} if {other!r} divides rows"
            return (
                f"{self.file}:{row}: {_shown(text)} has {number} fields separated by {separator!r}, "
                f"not {len(header)} ({listed(header)}); correct the row or drop it{advice}"
            )

        if self.separator is not None:
            _refuse(events, lambda batch: batch.filter(pl.col("uneven").is_not_null()), tell)

    def _wrong_type(self, role: str, column: Series, what: str) -> DataError:
        return DataError(f"{self.file}: column {self._name(role)!r} holds {column.dtype}, but {what}; convert it")

    def _name(self, role: str) -> str:
        return self.found.header[self.found.places[role]]


def _refuse(events: DataFrame, among: Callable[[DataFrame], DataFrame], tell: Callable[[DataFrame], str]) -> None:
    bad = among(events)
    if bad.height:
        raise BadRowsError(among, bad, tell)


def integers_if_canonical(column: Series) -> Series:
    """Ids from text as integers, if every one of them is an integer in canonical form."""
    integers = column.cast(pl.Int64, strict=False)
    return integers if bool((integers.cast(pl.String) == column).fill_null(False).all()) else column


def is_missing_word(texts: Series) -> Series:
    """Which of the texts are words that programs write for a missing value."""
    return texts.str.strip_chars().is_in(MISSING_WORDS)


def is_blank(texts: Series) -> Series:
    """Which of the texts have nothing but white space."""
    return texts.str.strip_chars() == ""


def _are_numbers(texts: Series) -> bool:
    return bool(texts.str.strip_chars().str.contains("^-?[0-9]+$").all())


def _first_shown(column: Series) -> str:
    if column.dtype.is_temporal():
        numbers, per_second = since_1970(column.head(1))
        return f"a moment {numbers[0] / per_second:,.0f} seconds after 1970"
    return _shown(column[0])


def _shown(value: object) -> str:
    return clipped(repr(value))
