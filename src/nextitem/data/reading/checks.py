"""Columns of an event file -> checked events. What cannot be used is named by file, row and column."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import DataFrame, Series

from nextitem.data.reading.times import EARLIEST, LATEST, unix_seconds
from nextitem.errors import DataError


@dataclass(frozen=True)
class EventPart:
    """Some events of a file, checked, in file order; ids from text are strings, whatever they look like."""

    user: Series
    item: Series
    time: Series | None

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
    header: list[str]
    names: dict[str, str]  # role -> name in the file
    is_text: bool
    separator: str | None  # of the fields of a line, whose number may then be wrong
    rows: int | None  # as the file states them
    first_time: Series | None = None
    """The file's first time: whether times in text are numbers or dates is decided by it."""

    def checked(self, events: DataFrame) -> EventPart:
        """The events, as columns. Raises BadRowsError, and DataError for a column of the wrong type."""
        self._require_even(events)
        user, item = self._ids(events, "user"), self._ids(events, "item")
        return EventPart(user, item, self._times(events))

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
        return column.str.strip_chars() if self.is_text else column

    def _times(self, events: DataFrame) -> Series | None:
        if "time" not in self.names:
            return None
        column = self._present(events, "time")
        if self.first_time is None and len(column):
            self.first_time = column.head(1)
        seconds = self._seconds(column)
        if seconds is None:
            raise self._wrong_type("time", column, "times are numbers (unix seconds), dates, or text in ISO 8601")
        if bool(seconds.is_between(EARLIEST, LATEST).fill_null(False).all()):
            return seconds
        problem = "is not a time; write unix seconds or ISO 8601 (2024-01-31T12:00:00Z), one of them throughout"
        self._require(events, "time", self._are_times, f"{problem} the column")
        problem = "lies outside the years 1 to 9999 if taken as unix seconds; divide milliseconds by 1,000"
        self._require(events, "time", self._are_in_range, problem)
        return seconds

    def _seconds(self, column: Series) -> Series | None:
        if self.first_time is None or column.dtype != pl.String:
            return unix_seconds(column)
        seconds = unix_seconds(pl.concat([self.first_time, column]))
        return None if seconds is None else seconds[1:]

    def _are_times(self, column: Series) -> Series:
        seconds = self._seconds(column)
        return column.is_null() if seconds is None else seconds.is_not_null() | column.is_null()

    def _are_in_range(self, column: Series) -> Series:
        seconds = self._seconds(column)
        return column.is_null() if seconds is None else seconds.is_between(EARLIEST, LATEST).fill_null(True)

    def _present(self, events: DataFrame, role: str) -> Series:
        problem = "is missing; every event needs a value, give it or drop the row"
        self._require(events, role, lambda column: column.is_not_null(), problem)
        return events[role]

    def _require(self, events: DataFrame, role: str, are_good: Callable[[Series], Series], problem: str) -> None:
        def tell(bad: DataFrame) -> str:
            value = "the value" if bad[role][0] is None else _shown(bad[role][0])
            return f"{self.file}:{bad['row'][0]}:{self.names[role]}: {value} {problem}"

        _refuse(events, lambda batch: batch.filter(~are_good(batch[role])), tell)

    def _require_even(self, events: DataFrame) -> None:
        def tell(bad: DataFrame) -> str:
            row, number, text = bad.select("row", "width", "uneven").row(0)
            return (
                f"{self.file}:{row}: {_shown(text)} has {number} fields separated by {self.separator!r}, "
                f"not {len(self.header)} ({', '.join(map(clipped, self.header[:50]))}); correct the row or drop it"
            )

        if self.separator is not None:
            _refuse(events, lambda batch: batch.filter(pl.col("uneven").is_not_null()), tell)

    def _wrong_type(self, role: str, column: Series, what: str) -> DataError:
        return DataError(f"{self.file}: column {self.names[role]!r} holds {column.dtype}, but {what}; convert it")


def _refuse(events: DataFrame, among: Callable[[DataFrame], DataFrame], tell: Callable[[DataFrame], str]) -> None:
    bad = among(events)
    if bad.height:
        raise BadRowsError(among, bad, tell)


def integers_if_canonical(column: Series) -> Series:
    """Ids from text as integers, if every one of them is an integer in canonical form."""
    integers = column.cast(pl.Int64, strict=False)
    return integers if bool((integers.cast(pl.String) == column).fill_null(False).all()) else column


def clipped(text: str) -> str:
    """A text of the file, short enough for a message."""
    return text if len(text) <= 60 else f"{text[:60]}…"


def _shown(value: object) -> str:
    return clipped(repr(value))
