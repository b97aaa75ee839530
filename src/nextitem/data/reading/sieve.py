"""Rows that pass a check and rows that do not: refused with the first of them, or left out and counted."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import DataFrame, Series

from nextitem.data.reading.columns import Found
from nextitem.data.reading.names import clipped
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.times import since_1970

_MOST_CHARACTERS = 100_000  # of a rejected row: some fields are as long as a file
_QUOTED = re.compile(r'[",\r\n]')


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


@dataclass(frozen=True)
class Sieve:
    """What is done with rows of one file that do not pass."""

    file: Path | str
    found: Found
    separator: str | None
    """What divides the fields of a line, if anything does."""
    rejected: RejectedRows | None
    """Where rows go that are left out; None where they are refused."""

    def name(self, role: str) -> str:
        """What the column of a role is called in the file."""
        return self.found.header[self.found.places[role]]

    def passed(
        self,
        events: DataFrame,
        are_bad: Callable[[DataFrame], Series],
        reason: str,
        tell: Callable[[DataFrame], str],
        column: str = "",
    ) -> DataFrame:
        """The events that are not bad. Raises BadRowsError where some are and rows are refused.

        `tell` makes the message of those that are; `reason` is the same without the row and its values.
        """
        is_bad = are_bad(events).fill_null(False)
        if not is_bad.any():
            return events
        bad = events.filter(is_bad)
        if self.rejected is None:
            raise BadRowsError(lambda batch: batch.filter(are_bad(batch)), bad, tell)
        rows = DataFrame({"row": bad["row"], "content": self._contents(bad)})
        self.rejected.add(self.file, rows, column, reason)
        return events.filter(~is_bad)

    def required(
        self,
        events: DataFrame,
        role: str,
        are_good: Callable[[Series], Series],
        fact: str,
        remedy: str,
        reason: str | None = None,
    ) -> DataFrame:
        """The events whose value in the column of a role is good; `fact` is what is said of a value that is not.

        Where it rests on other rows too, `reason` is what is true of each row alone, for those that are left out: a
        file that is read in parts tells the same of them.
        """

        def tell(bad: DataFrame) -> str:
            value = "the value" if bad[role].head(1).null_count() else first_shown(bad[role])
            return f"{self.file}:{bad['row'][0]}:{self.name(role)}: {value} {fact}; {remedy}"

        return self.passed(events, lambda batch: ~are_good(batch[role]), reason or fact, tell, self.name(role))

    def _contents(self, bad: DataFrame) -> Series:
        """What stands in each row: fields with what divides them, as they can be read again, or columns as JSON."""
        roles = bad.select([role for role in self.found.places if role in bad.columns])
        if "fields" not in bad.columns:
            return as_objects(roles)
        texts = as_lines(bad, self.separator)
        return texts.zip_with(texts.is_not_null(), as_objects(roles)) if texts.null_count() else texts


def as_lines(rows: DataFrame, separator: str | None) -> Series:
    """What stands in rows with `fields`, as it can be read again; of one with a `flaw` that is its only field."""

    def line(fields: Iterable[str]) -> str:
        if separator != ",":
            return (separator or " ").join(fields)
        return ",".join('"' + field.replace('"', '""') + '"' if _QUOTED.search(field) else field for field in fields)

    divided = rows["fields"].map_elements(line, pl.String, skip_nulls=True)
    if "flaw" in rows.columns:
        divided = rows["fields"].list.first().zip_with(rows["flaw"].is_not_null(), divided)
    return divided.str.slice(0, _MOST_CHARACTERS)


def as_objects(columns: DataFrame) -> Series:
    """The values of each row as JSON."""
    # Python has no moments beyond the year 9999: they are written as numbers since 1970.
    columns = columns.with_columns(pl.col(pl.Date, pl.Datetime).to_physical())
    lines = (json.dumps(row, ensure_ascii=False, default=str) for row in columns.iter_rows(named=True))
    return Series([line[:_MOST_CHARACTERS] for line in lines], dtype=pl.String)


def first_shown(column: Series) -> str:
    """The first value of a column, as a message shows it."""
    if column.dtype.is_temporal():
        numbers, per_second = since_1970(column.head(1))
        return f"a moment {numbers[0] / per_second:,.0f} seconds after 1970"
    return shown(column[0])


def shown(value: object) -> str:
    """A value of the file, short enough for a message."""
    return clipped(repr(value))
