"""A table of items as it was read, in whatever form it came; a frame of any library is one."""

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import polars as pl

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

    @classmethod
    def numbered(cls, place: str, table: pl.DataFrame) -> "Rows":
        """A table whose rows count from 1."""
        return cls(place, table, pl.int_range(1, table.height + 1, eager=True))


def rows_of_frame(frame: Any) -> Rows:
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
    return Rows.numbered("items", table)
