"""Events as they were logged (user, item, time), and the catalogue that turns raw ids into 0…N−1.

Strings stay strings: '007' and '7' are two items. Nothing here reads a file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from nextitem.errors import DataError
from nextitem.settings.given import listed, of_kind
from nextitem.words import counted

Ids = pl.Series | Iterable[str] | Iterable[int]
MISSING_WORDS = (
    "NaN", "nan", "NAN", "NaT", "NULL", "null", "Null", "<null>", "None", "none", "NONE", "NA", "N/A", "n/a", "#N/A",
    "<NA>", "\\N",
)  # fmt: skip
"""What programs write into a text for a value that is missing: as ids, all such events would be those of one user."""
LIKELY_TIMES = (631_152_000, 4_102_444_800)
"""The years 1990 to 2099 in unix seconds, in which nearly all that is logged happens: others are told of."""
_BEYOND = "integers of 2⁶³ or more, or below −2⁶³; pass all its values as strings"


@dataclass(frozen=True)
class Interactions:
    """A log of events in file order: columns `user`, `item` and, if known, `time`.

    Times are unix seconds, whole ones int64 and others float64. Where that is not fine enough for the order of events
    there is a column `nanoseconds`: by how many each lies after its time. Ids are strings or int64, and no value is
    missing. Events of several kinds have these in a column `kind`; what came of them are targets of some `weight`.
    """

    events: pl.DataFrame

    def __post_init__(self) -> None:
        """Whole numbers of other types are taken for int64.

        Raises ConfigurationError for what is no frame of polars, and DataError for a frame without the columns or with
        a value in them that `from_columns` refuses; words for missing values are ids here.
        """
        remedy = "Interactions.from_columns(frame['user'], frame['item'], frame['time']) takes columns of any library"
        of_kind(self.events, pl.DataFrame, "events", remedy)
        if missing := [role for role in ("user", "item") if role not in self.events.columns]:
            there = ", ".join(self.events.columns[:20]) or "none at all"
            raise DataError(f"the frame has no column {' and no column '.join(missing)} (it has {there}); {remedy}")
        taken = {"user": _ids, "item": _ids, "time": _times, "nanoseconds": _whole, "kind": _kinds}
        columns = {name: take(name, self.events[name]) for name, take in taken.items() if name in self.events.columns}
        for name, column in columns.items():
            if column.null_count():
                row = int(column.is_null().arg_max() or 0) + 1
                fact = f"{counted(column.null_count(), 'missing value')}, the first in row {row}"
                raise DataError(f"column '{name}' has {fact} (rows count from 1); give them or drop the rows")
        object.__setattr__(self, "events", self.events.with_columns(**columns))

    @classmethod
    def required(cls, interactions: object) -> "Interactions":
        """The interactions, where they are. Raises ConfigurationError."""
        remedy = "read_interactions(file) and Interactions.from_columns(user, item, time) make some"
        return of_kind(interactions, cls, "interactions", remedy)

    @classmethod
    def from_columns(
        cls,
        user: Ids,
        item: Ids,
        time: Iterable[float] | pl.Series | None = None,
        *,
        nanoseconds: pl.Series | None = None,
        kind: Iterable[str] | pl.Series | None = None,
        missing: Literal["refuse", "ids"] = "refuse",
    ) -> "Interactions":
        """Events from parallel columns; ids are strings or integers, `time` is in unix seconds.

        A column is a list, array or series of any library. `nanoseconds` (integers) order events of one time; `kind`
        are the kinds of events, by any words. Words for missing values, such as the string "NaN", are refused among ids
        unless `missing` says that they are ids.

        Raises ConfigurationError for what is no list, and DataError where lengths differ, a value is missing, an id is
        neither string nor integer or beyond 64 bits, a column of ids mixes both, or a time is no number.

        >>> Interactions.from_columns(["ann", "ann", "bob"], [7, 9, 7]).number_of_items
        2
        """
        columns = {"user": _ids("user", user), "item": _ids("item", item)}
        if time is not None:
            columns["time"] = _times("time", time)
        if nanoseconds is not None:
            columns["nanoseconds"] = nanoseconds
        if kind is not None:
            columns["kind"] = _kinds("kind", kind)
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise DataError(f"columns of unequal length: {lengths}; every event needs a value in each of them")
        interactions = cls(pl.DataFrame(columns))
        if missing == "refuse":
            _require_no_words(columns["user"], columns["item"])
        return interactions

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
        return self.events.sort(self._order, maintain_order=True)

    @property
    def _order(self) -> list[str]:
        """The columns by which events are in order."""
        return [key for key in ("user", "time", "nanoseconds") if key in self.events.columns]

    @property
    def tied_events(self) -> int:
        """How many events share user and time with another one, so that only file order ranks them."""
        if "time" not in self.events.columns:
            return 0
        return int(self.events.select(pl.struct(self._order).is_duplicated().sum()).item())

    @property
    def users_with_tied_end(self) -> int:
        """How many users have two last events that share their time, so that only file order says which is the last."""
        if "time" not in self.events.columns:
            return 0
        last = self.in_time_order().group_by("user").agg(moments=pl.struct(self._order).tail(2))
        is_tied = (pl.col("moments").list.len() == 2) & (pl.col("moments").list.n_unique() == 1)
        return int(last.select(is_tied.sum()).item())

    @property
    def repeated_events(self) -> int:
        """How many events there are beside the first of each user with each item."""
        return len(self) - self.events.n_unique(["user", "item"])

    @property
    def doubled_events(self) -> int:
        """How many events there are beside the first of each user with each item at each time; 0 without times."""
        if "time" not in self.events.columns or not self.repeated_events:
            return 0
        return len(self) - self.events.n_unique([*self._order, "item"])


def _require_no_words(*columns: pl.Series) -> None:
    for name, column in zip(("user", "item"), columns, strict=True):
        if column.dtype == pl.String and bool((is_word := column.is_in(MISSING_WORDS)).any()):
            row, count = int(is_word.arg_max() or 0) + 1, int(is_word.sum())
            words = counted(count, "word for a missing value", "words for missing values")
            raise DataError(
                f"column '{name}' has {words}, the first {column[row - 1]!r} in row {row} "
                f"(rows count from 1); give them, drop the rows, or say by missing='ids' that they are ids"
            )


def _ids(name: str, values: Ids) -> pl.Series:
    column = values if isinstance(values, pl.Series) else _column(name, listed(values, name))
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


def _times(name: str, values: Iterable[float] | pl.Series) -> pl.Series:
    # Whole and other numbers may be mixed here, in ids not: 1 would become '1.0'.
    column = values if isinstance(values, pl.Series) else _column(name, listed(values, name), strict=False)
    if len(column) and not column.dtype.is_numeric():
        raise DataError(f"column '{name}' holds {column.dtype}; times are numbers, in unix seconds")
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count() > column.null_count():
            raise DataError(f"column '{name}' has integers of 2⁶³ or more; times are in unix seconds")
        return whole
    # As missing values, NaN and infinite times are found with the others: sorted, they would be the newest.
    seconds = column.cast(pl.Float64)
    return seconds.set(~seconds.is_finite().fill_null(True), None)


def _kinds(name: str, values: Iterable[str] | pl.Series) -> pl.Series:
    column = values if isinstance(values, pl.Series) else _column(name, listed(values, name))
    if column.dtype.is_nested() or column.dtype.is_float():
        raise DataError(f"column '{name}' holds {column.dtype}; kinds of events are words or whole numbers")
    return column.cast(pl.String)


def _whole(name: str, column: pl.Series) -> pl.Series:
    if not column.dtype.is_integer():
        raise DataError(f"column '{name}' holds {column.dtype}; it is in whole numbers")
    return column.cast(pl.Int64)
