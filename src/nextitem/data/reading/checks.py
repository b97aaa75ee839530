"""Columns of an event file -> checked events. What cannot be used is named by file, row and column, or left out."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import polars as pl
from polars import DataFrame, Series

from nextitem.data.interactions import MISSING_WORDS
from nextitem.data.reading.appearance import advice_on, looks_like_names
from nextitem.data.reading.columns import Found
from nextitem.data.reading.names import listed
from nextitem.data.reading.opening import is_cut_off_at
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sieve import Sieve, shown
from nextitem.data.reading.time_checks import Seen, TimeChecks
from nextitem.errors import DataError

MOST_OF_AN_ID = 1 << 16
"""Bytes of an id. What is longer is no name of anything, as where a quote is missing."""
_ENOUGH = 1_000
"""Events beside the first one that tell whether it stands alone: as many whether a file is read whole or in parts."""


@dataclass(frozen=True)
class EventPart:
    """Some events of a file, checked, in file order; ids from text are strings, whatever they look like."""

    user: Series
    item: Series
    time: Series | None = None
    nanoseconds: Series | None = None
    """By how many each event lies after its time, where the order rests on that."""
    row: Series = field(default_factory=Series)
    """The row (line of a text) that each event stands in, from 1."""
    kind: Series | None = None
    """What kind of event each is, where that was asked for."""
    file: str = ""
    """Where they stand, for messages."""

    def __len__(self) -> int:
        return len(self.user)


@dataclass
class EventSource:
    """What matters of a file: frames of the columns `row`, `user`, `item` and, if there is one, `time`."""

    file: Path | str  # or what stands for one in messages
    frames: Iterator[pl.LazyFrame]
    found: Found
    is_text: bool
    separator: str | None  # of the fields of a line, whose number may then be wrong
    rows: int | None  # as the file states them
    has_header: bool  # as a line of its own, which may then stand in it more than once
    may_be_header: bool  # the first event, since nobody said that it is one
    rejected: RejectedRows | None = None  # where rows go that are left out; None: they are refused
    seen: Seen = field(default_factory=Seen)  # of the times of files before it

    def __post_init__(self) -> None:
        self._sieve = Sieve(self.file, self.found, self.separator, self.rejected)
        self._times = TimeChecks(self._sieve, self.seen)

    def checked(self, events: DataFrame) -> EventPart:
        """The events, as columns. Raises BadRowsError, and DataError for a column of the wrong type."""
        events = self._even(self._sound(events))
        if self.has_header:
            events = self._without_headers(events)
        if self.may_be_header and events.height:
            self._require_no_header(events)
        events = self._with_ids(self._with_ids(events, "user"), "item")
        if "kind" in self.found.places:
            events = self._with_kinds(events)
        events, times = self._times.passed(events)
        kind = events["kind"] if "kind" in self.found.places else None
        part = EventPart(events["user"], events["item"], row=events["row"], kind=kind, file=str(self.file))
        return part if times is None else replace(part, time=times.seconds, nanoseconds=times.nanoseconds)

    def _sound(self, events: DataFrame) -> DataFrame:
        """Without rows that are no text, or that quotes leave no end."""

        def tell(bad: DataFrame) -> str:
            return f"{self.file}:{bad['row'][0]}{bad['told'][0]}"

        for flaw in _flaws(events).drop_nulls().unique(maintain_order=True):
            events = self._sieve.passed(events, partial(_are_flawed, flaw=flaw), flaw, tell)
        return events

    def _even(self, events: DataFrame) -> DataFrame:
        def tell(bad: DataFrame) -> str:
            row, number, text = bad.select("row", "width", "uneven").row(0)
            header, separator = list(self.found.header), str(self.separator)
            advice = advice_on(text, separator, header)
            if isinstance(self.file, Path) and is_cut_off_at(self.file, row):
                advice = "; it is the last line and has no end, as where a file was cut off: copy or download it again"
            return (
                f"{self.file}:{row}: {shown(text)} has {number} fields separated by {separator!r}, "
                f"not {len(header)} ({listed(header)}); correct the row or drop it{advice}"
            )

        if self.separator is None:
            return events
        width, reasons = len(self.found.header), ("has too few fields", "has too many fields")
        if self.rejected is None:  # told of together
            return self._sieve.passed(events, lambda batch: batch["uneven"].is_not_null(), "", tell)
        few = self._sieve.passed(events, lambda batch: batch["width"] < width, reasons[0], tell)
        return self._sieve.passed(few, lambda batch: batch["width"] > width, reasons[1], tell)

    def _without_headers(self, events: DataFrame) -> DataFrame:
        is_header = pl.all_horizontal(
            pl.col(role).str.strip_chars() == self._sieve.name(role) for role in self.found.places
        )

        def tell(bad: DataFrame) -> str:
            return (
                f"{self.file}:{bad['row'][0]}: the header stands here a second time, as where files were put together; "
                f"drop the row"
            )

        reason = "is the header a second time"
        return self._sieve.passed(events, lambda batch: batch.select(is_header).to_series(), reason, tell)

    def _require_no_header(self, events: DataFrame) -> None:
        self.may_be_header = False
        row, user, item = events.select("row", "user", "item").row(0)
        rest = events.slice(1, _ENOUGH)
        stands_alone = rest.height > 0 and all(
            not _are_numbers(events[role].head(1)) and _are_numbers(rest[role]) for role in ("user", "item")
        )
        if stands_alone or looks_like_names(str(user), str(item)):
            raise DataError(
                f"{self.file}:{row}: {shown(user)} and {shown(item)} look like names of columns and not like the "
                f"user and the item of an event; say columns.header=yes if they are names, columns.header=no if not"
            )

    def _with_ids(self, events: DataFrame, role: str) -> DataFrame:
        column = events[role]
        if isinstance(column.dtype, pl.Decimal) and column.dtype.scale == 0:  # as databases export whole numbers
            column = column.cast(pl.Int128)
            events = events.with_columns(column)
        if isinstance(column.dtype, pl.Categorical | pl.Enum | pl.Null):
            events = events.with_columns(pl.col(role).cast(pl.String))
        elif not (column.dtype == pl.String or column.dtype.is_integer()):
            raise self._wrong_type(role, column)
        remedy = "every event needs a value, give it or drop the row"
        events = self._sieve.required(events, role, Series.is_not_null, "is missing", remedy)
        if column.dtype.is_integer():
            fact, remedy = "is beyond 64 bits with a sign", "store such ids as strings"
            events = self._sieve.required(
                events, role, lambda ids: ids.cast(pl.Int64, strict=False).is_not_null(), fact, remedy
            )
            return events.with_columns(pl.col(role).cast(pl.Int64))
        events = self._of_words(events, role)
        return events.with_columns(pl.col(role).str.strip_chars()) if self.is_text else events

    def _with_kinds(self, events: DataFrame) -> DataFrame:
        kinds = events["kind"]
        if kinds.dtype.is_nested() or kinds.dtype.is_float() or kinds.dtype.is_temporal():
            raise DataError(
                f"{self.file}: column {self._sieve.name('kind')!r} holds {kinds.dtype}, but kinds of events are words "
                f"or whole numbers; convert it"
            )
        events = events.with_columns(pl.col("kind").cast(pl.String).str.strip_chars())
        remedy = "every event needs a kind, give it or drop the row"
        events = self._sieve.required(events, "kind", Series.is_not_null, "is missing", remedy)
        return self._sieve.required(events, "kind", lambda kinds: ~is_blank(kinds), "is blank", remedy)

    def _of_words(self, events: DataFrame, role: str) -> DataFrame:
        """Without ids that are blank, stand for a missing value, are no text that is shown, or have no end."""
        remedy = "every event needs an id, give it or drop the row"
        events = self._sieve.required(events, role, lambda ids: ~is_blank(ids), "is blank", remedy)
        if self.found.columns.missing == "refuse":
            remedy = "give it, drop the row, or say columns.missing=ids if it is an id"
            fact = "stands for a missing value"
            events = self._sieve.required(events, role, lambda ids: ~is_missing_word(ids), fact, remedy)
        fact, remedy = f"is longer than the {MOST_OF_AN_ID:,} bytes of an id", "close every quote, or drop the row"
        events = self._sieve.required(events, role, lambda ids: ids.str.len_bytes() <= MOST_OF_AN_ID, fact, remedy)
        fact, remedy = "has a NUL byte in it, as where it was not written to its end", "write it anew, or drop the row"
        return self._sieve.required(events, role, lambda ids: ~ids.str.contains("\0", literal=True), fact, remedy)

    def _wrong_type(self, role: str, column: Series) -> DataError:
        fact = f"{self.file}: column {self._sieve.name(role)!r} holds {column.dtype}"
        missing = column.null_count() + int(column.is_nan().sum()) if column.dtype.is_float() else 0
        gaps = f" with {missing:,} missing values (which make floats of integers)" if missing else ""
        return DataError(f"{fact}{gaps}, but ids are strings or integers; convert it")


def _flaws(events: DataFrame) -> Series:
    """What is wrong with each row as it stands in the file, null where nothing is."""
    if "flaw" in events.columns:
        return events["flaw"]
    return Series("flaw", [None], dtype=pl.String).new_from_index(0, events.height)


def _are_flawed(events: DataFrame, flaw: str) -> Series:
    return _flaws(events) == flaw


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
