"""Events as they were logged (user, item, time), and the catalogue that turns raw ids into 0…N−1.

Strings stay strings: '007' and '7' are two items. Nothing here reads a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from nextitem.errors import DataError

Ids = pl.Series | Iterable[str] | Iterable[int]
_BEYOND = "integers of 2⁶³ or more, or below −2⁶³; pass all its values as strings"


@dataclass(frozen=True)
class Interactions:
    """A log of events in file order: columns `user`, `item` and, if known, `time`.

    Times are unix seconds, whole ones int64 and others float64.
    """

    events: pl.DataFrame

    @classmethod
    def from_columns(cls, user: Ids, item: Ids, time: Iterable[float] | pl.Series | None = None) -> "Interactions":
        """Events from parallel columns; ids are strings or integers, `time` is in unix seconds.

        Raises DataError where lengths differ, a value is missing, an id is neither string nor integer or beyond 64
        bits, a column of ids mixes both, or a time is no number.

        >>> Interactions.from_columns(["ann", "ann", "bob"], [7, 9, 7]).number_of_items
        2
        """
        columns = {"user": _ids("user", user), "item": _ids("item", item)}
        if time is not None:
            columns["time"] = _times(time)
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise DataError(f"columns of unequal length: {lengths}; every event needs a value in each of them")
        for name, column in columns.items():
            if column.null_count():
                row = int(column.is_null().arg_max() or 0) + 1
                missing = f"{column.null_count():,} missing values, the first in row {row}"
                raise DataError(f"column '{name}' has {missing} (rows count from 1); give them or drop the rows")
        return cls(pl.DataFrame(columns))

    def __len__(self) -> int:
        return self.events.height

    @property
    def number_of_users(self) -> int:
        return self.events["user"].n_unique()

    @property
    def number_of_items(self) -> int:
        return self.events["item"].n_unique()

    def in_time_order(self) -> pl.DataFrame:
        """Events by user, then time; events of one user at one time, or without times, keep file order."""
        keys = [key for key in ("user", "time") if key in self.events.columns]
        return self.events.sort(keys, maintain_order=True)

    @property
    def tied_events(self) -> int:
        """How many events share user and time with another one, so that only file order ranks them."""
        if "time" not in self.events.columns:
            return 0
        return int(self.events.select(pl.struct("user", "time").is_duplicated().sum()).item())

    @property
    def repeated_events(self) -> int:
        """How many events there are beside the first of each user with each item."""
        return len(self) - self.events.n_unique(["user", "item"])


def _ids(name: str, values: Ids) -> pl.Series:
    column = values if isinstance(values, pl.Series) else _column(name, list(values))
    if column.dtype == pl.Null and not len(column):
        return column.cast(pl.String)
    if not (column.dtype == pl.String or column.dtype.is_integer()):
        raise DataError(f"column '{name}' holds {column.dtype}; ids are strings or integers")
    if column.dtype == pl.String:
        return column
    signed = column.cast(pl.Int64, strict=False)
    if signed.null_count() > column.null_count():
        raise DataError(f"column '{name}' has {_BEYOND}")
    return signed


def _column(name: str, values: list[Any], *, strict: bool = True) -> pl.Series:
    try:
        return pl.Series(values, strict=strict)
    except (TypeError, OverflowError):  # its text is about the building of columns
        kinds = " and ".join(sorted({type(value).__name__ for value in values if value is not None}))
        fact = f"{kinds}, mixed; give all its values as one kind, such as strings" if " and " in kinds else _BEYOND
        raise DataError(f"column '{name}' has {fact}") from None


def _times(values: Iterable[float] | pl.Series) -> pl.Series:
    # Whole and other numbers may be mixed here, in ids not: 1 would become '1.0'.
    column = values if isinstance(values, pl.Series) else _column("time", list(values), strict=False)
    if len(column) and not column.dtype.is_numeric():
        raise DataError(f"column 'time' holds {column.dtype}; times are numbers, in unix seconds")
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count() > column.null_count():
            raise DataError("column 'time' has integers of 2⁶³ or more; times are in unix seconds")
        return whole
    # As missing values, NaN times are found with the others: sorted, they would be the newest.
    return column.cast(pl.Float64).fill_nan(None)
