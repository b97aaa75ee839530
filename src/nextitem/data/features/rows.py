"""A table of items as it was read, in whatever form it came; a frame of any library is one."""

from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import polars as pl

from nextitem.data.notes import left_out
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.sieve import as_lines, as_objects
from nextitem.errors import ConfigurationError, DataError
from nextitem.settings.given import column_names, told

EACH = "give one with a row for each item"


@dataclass(frozen=True)
class Rows:
    """A table of items: texts where a text was read, else columns with their types."""

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
        raise DataError(f"{self.place} has no rows; {EACH}")

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
            f"items={told(frame)}{named} is no frame of pandas, polars or pyarrow; {EACH}"
        ) from None
    table = (found.collect() if isinstance(found, nw.LazyFrame) else found).to_polars()
    if not table.height:
        raise DataError(f"items is a frame without rows; {EACH}")
    return Rows.numbered("items", table, rejected)
