"""A frame of any library -> its events, by the rules of files: which columns, which types, what is refused.

Frames are those that narwhals understands: of pandas, polars (lazy ones too), pyarrow and others. Rows count from 1, in
the order in which the frame has them; an index of pandas is no column.
"""

import datetime
import operator
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, SupportsIndex

import narwhals as nw
import polars as pl
from narwhals.exceptions import NarwhalsError

from nextitem.data.reading.checks import EventSource
from nextitem.data.reading.columns import Columns, Found, find
from nextitem.data.reading.format import Content
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import ConfigurationError, DataError
from nextitem.settings.given import told

FRAME = "frame"
"""What a frame is called where a file has its path: in messages, and as the data of a recipe."""

Frame = nw.DataFrame[Any] | nw.LazyFrame[Any]
_WHOLE, _NUMBER = "a whole number", "a number"
UNUSABLE = (TypeError, ValueError, OverflowError, NotImplementedError, NarwhalsError, pl.exceptions.PolarsError)
"""What libraries raise where a frame cannot be computed, or a column does not become one of polars."""


def understood(frame: object) -> Frame:
    """The frame as narwhals has it. Raises ConfigurationError for what is none, DataError for names that recur."""
    try:
        found = nw.from_native(frame, pass_through=True)
    except NarwhalsError as error:
        raise DataError(f"{FRAME}: {' '.join(str(error).split())}; rename the columns") from error
    if not isinstance(found, nw.DataFrame | nw.LazyFrame):
        raise ConfigurationError(
            f"{told(frame)} should be the path of a file, or a frame of pandas, polars, pyarrow or another library "
            f"that narwhals knows"
        )
    return found


def found_in_frame(frame: Frame, columns: Columns, like: Columns | None = None) -> Found:
    """The columns that events are taken from. Raises what `find` raises, and ConfigurationError for a text's layout."""
    texts = {key: columns.said[key] for key in ("format", "separator", "header") if key in columns.said}
    if texts:
        raise ConfigurationError(f"a frame is no file, and columns={texts} is about one; leave it out")
    return find(FRAME, Content([str(name) for name in frame.collect_schema().names()], _none), columns, like)


def source_of_frame(frame: Frame, found: Found, rejected: RejectedRows | None = None) -> EventSource:
    """The events of a frame, for the checks that those of a file go through. Raises DataError."""
    roles = list(found.places)
    chosen = frame.select(*(nw.nth(found.places[role]) for role in roles))
    try:
        eager = chosen.collect("polars") if isinstance(chosen, nw.LazyFrame) else chosen
    except (*UNUSABLE, OSError) as error:
        raise DataError(f"{FRAME} could not be computed: {' '.join(str(error).split())[:200]}") from error
    columns = {role: _column(eager[:, place], role, found) for place, role in enumerate(roles)}
    events = pl.LazyFrame(columns).with_row_index("row", offset=1)
    return EventSource(FRAME, iter([events]), found, False, None, None, False, False, rejected)


def _none(_: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
    return iter(())


def _column(values: "nw.Series[Any]", role: str, found: Found) -> pl.Series:
    """A column of polars; missing values are null, whatever the library has for them."""
    name = found.header[found.places[role]]
    column = None if values.dtype == nw.Object else _as_polars(values, name)
    if column is None:
        column = _of_objects(values, name)
    return column.fill_nan(None) if column.dtype.is_float() else column


def _as_polars(values: "nw.Series[Any]", name: str) -> pl.Series | None:
    """The column, None where it takes pyarrow, by which pandas gives texts away, and there is none."""
    try:
        return values.to_polars()
    except ModuleNotFoundError:
        return None
    except UNUSABLE as error:
        raise DataError(
            f"{FRAME}: column {name!r} holds {values.dtype}, which is not understood; convert it"
        ) from error


def _of_objects(values: "nw.Series[Any]", name: str) -> pl.Series:
    """A column of Python's own values, all of one kind. Raises DataError naming the first of another kind."""
    found = plain_values(values)
    rows = [row for row, value in enumerate(found) if value is not None]
    kinds = {row: _kind(found[row]) for row in rows}
    if set(kinds.values()) <= {_WHOLE, _NUMBER} and _NUMBER in kinds.values():
        return pl.Series([None if value is None else float(value) for value in found], dtype=pl.Float64)
    for row in rows:
        if kinds[row] != (first := kinds[rows[0]]):
            raise DataError(
                f"{FRAME}:{row + 1}:{name}: {told(found[row])} is {kinds[row]}, and row {rows[0] + 1} has {first}; "
                f"give all values of the column as one kind, such as texts"
            )
    if rows and kinds[rows[0]] == _WHOLE:
        return _integers(found, name)
    return pl.Series(found, dtype=None if rows else pl.String)


def plain_values(values: "nw.Series[Any]") -> list[Any]:
    """Python's own values; what is missing is None, whatever the library has for it."""
    return [
        None if is_missing else v for v, is_missing in zip(values.to_list(), values.is_null().to_list(), strict=True)
    ]


def _integers(values: list[Any], name: str) -> pl.Series:
    whole = [None if value is None else operator.index(value) for value in values]
    for row, number in enumerate(whole, 1):
        if number is not None and not -(2**63) <= number < 2**63:
            raise DataError(f"{FRAME}:{row}:{name}: {number} is beyond 64 bits with a sign; store such ids as strings")
    return pl.Series(whole, dtype=pl.Int64)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a text"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, SupportsIndex):
        return _WHOLE
    if isinstance(value, float | Decimal):
        return _NUMBER
    if isinstance(value, datetime.datetime):
        return "a moment without a time zone" if value.tzinfo is None else "a moment with a time zone"
    return "a date" if isinstance(value, datetime.date) else f"of {type(value).__name__}"
