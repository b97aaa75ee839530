"""A table of items or users as it was read, in whatever form it came; a frame of any library is one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import polars as pl
from narwhals.exceptions import NarwhalsError

from nextitem.data.features.table import Of
from nextitem.data.notes import left_out
from nextitem.data.reading.frames import UNUSABLE, plain_values
from nextitem.data.reading.names import clipped
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sieve import as_lines, as_objects
from nextitem.errors import ConfigurationError, DataError
from nextitem.settings.given import column_names, told


def each(of: Of) -> str:
    """What to give in place of what is none, for messages."""
    return f"give one with a row for each {of}"


@dataclass(frozen=True)
class Rows:
    """A table of items or users: texts where a text was read, else columns with their types."""

    place: str
    """What messages call it."""
    table: pl.DataFrame
    """Its columns, under the names that they have there."""
    numbers: pl.Series
    """Where each row stands: its line in a text, else its number from 1."""
    separator: str | None = None
    """What divides the fields of a line, if anything does."""
    rejected: RejectedRows | None = None
    """Where rows go that cannot be used and are left out; None: they are refused."""
    of: Of = "item"
    """What each row is of."""

    @classmethod
    def numbered(cls, place: str, table: pl.DataFrame, rejected: RejectedRows | None = None) -> "Rows":
        """A table whose rows count from 1."""
        return cls(place, table, pl.int_range(1, table.height + 1, eager=True), rejected=rejected)

    def only(self, is_kept: pl.Series) -> "Rows":
        """Some of the rows."""
        return replace(self, table=self.table.filter(is_kept), numbers=self.numbers.filter(is_kept))

    def require_any(self) -> None:
        """Raise DataError where there is no row, with what became of those that were read."""
        if self.table.height:
            return
        if self.rejected:
            raise DataError(
                f"{self.place} has no row that can be used: {left_out(self.rejected.reasons)}; correct the table"
            )
        raise DataError(f"{self.place} has no rows; {each(self.of)}")

    def reject(self, is_bad: pl.Series, column: str, reason: str) -> None:
        """Take note of rows that are left out for one reason. Only where `rejected` rows have a place to go to."""
        if self.rejected is None or not is_bad.any():
            return
        bad = self.only(is_bad)
        if self.separator is None:
            content = as_objects(bad.table)
        else:
            content = as_lines(bad.table.select(fields=pl.concat_list(pl.all().fill_null(""))), self.separator)
        self.rejected.add(self.place, pl.DataFrame({"row": bad.numbers, "content": content}), column, reason)


def rows_of_frame(frame: Any, rejected: RejectedRows | None = None) -> Rows:
    """The rows of a frame of any library that narwhals knows. Raises ConfigurationError for what is none."""
    try:
        found = nw.from_native(frame)
    except TypeError:
        named = f" with columns {', '.join(column_names(frame)[:10])}" if column_names(frame) else ""
        raise ConfigurationError(
            f"items={told(frame)}{named} is no frame of pandas, polars or pyarrow; {each('item')}"
        ) from None
    except NarwhalsError as error:
        raise DataError(f"items: {' '.join(str(error).split())}; rename the columns") from error
    try:
        eager = found.collect("polars") if isinstance(found, nw.LazyFrame) else found
    except (*UNUSABLE, OSError) as error:
        raise DataError(f"items could not be computed: {' '.join(str(error).split())[:200]}") from error
    if not len(eager):
        raise DataError(f"items is a frame without rows; {each('item')}")
    columns = [_column(eager[:, place], str(name)) for place, name in enumerate(eager.columns)]
    return Rows.numbered("items", pl.DataFrame(columns), rejected)


def _column(values: "nw.Series[Any]", name: str) -> pl.Series:
    """A column of polars: of values of several kinds as of JSON, and of what has no type there one of objects."""
    try:
        return values.to_polars().alias(name)
    except (*UNUSABLE, ModuleNotFoundError):  # pandas gives texts away by pyarrow
        found = plain_values(values)
    try:
        return column_of("items", name, found)
    except DataError:
        return pl.Series(name, found, dtype=pl.Object)


def column_of(place: str, name: str, values: Sequence[Any]) -> pl.Series:
    """The values as one column; numbers of several kinds are numbers, and what else is mixed is text."""
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        there = [value for value in values if value is not None]
    if all(isinstance(value, list) for value in there):
        inner = [one for value in there for one in value if one is not None]
        kind, convert = (pl.Float64(), float) if _are(inner, int, float) else (pl.String(), str)
        lists = [None if value is None else [convert(one) for one in value if one is not None] for value in values]
        if _are(inner, int, float, str):
            return pl.Series(name, lists, dtype=pl.List(kind))
    elif _are(there, int, float):
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    elif _are(there, int, float, str):
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    kinds = " and ".join(sorted({type(value).__name__ for value in there}))
    raise DataError(f"{place}: the column {clipped(name)!r} mixes {kinds}; write values of one kind")


def _are(values: Sequence[Any], *kinds: type) -> bool:
    return all(isinstance(value, kinds) for value in values)
