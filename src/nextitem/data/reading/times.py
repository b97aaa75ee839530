"""Times as they are written -> unix seconds. Only UTC: a date that names no offset from it is taken as UTC."""

from dataclasses import dataclass

import polars as pl

EARLIEST, LATEST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999; milliseconds of today lie far beyond
_SMALL = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""How many of each a second has."""

_ISO_8601 = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?"
    r"(?: ?(?:Z|UTC)|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?)?$"
)


@dataclass(frozen=True)
class Times:
    """Unix seconds, and what they leave out, so that the order is exact where float64 is not."""

    seconds: pl.Series
    """Int64 where all are whole, else Float64; null where a value is no time."""
    nanoseconds: pl.Series | None = None
    """By how many each lies after the float64, Int64: for the order alone. None where no order rests on it."""


def times_of(column: pl.Series, unit: str = "s") -> Times | None:
    """Times of numbers in a `unit` (one of UNITS), dates or text; None where the type can hold no times.

    Text is either numbers or ISO 8601 throughout: the first value decides which. A float64 resolves 0.24 microseconds
    today. Of dates and of whole numbers the order is exact to a nanosecond nevertheless; of other numbers it is that
    of the float64.
    """
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        return _of_moments(column)
    if isinstance(column.dtype, pl.Decimal) and column.dtype.scale == 0:
        whole = column.cast(pl.Int64, strict=False)
        column = whole if whole.null_count() == column.null_count() else column
    if column.dtype.is_integer():
        return _of_integers(column, unit)
    if column.dtype.is_numeric():
        return Times(_null_unless_finite(column.cast(pl.Float64) / UNITS[unit]))
    if column.dtype != pl.String:
        return None
    text = column.str.strip_chars()
    numbers = _null_unless_finite(text.cast(pl.Float64, strict=False))
    if numbers.head(1).null_count():
        return _of_dates(text)
    whole = text.cast(pl.Int64, strict=False)
    times = _of_integers(whole, unit)
    if not whole.null_count():
        return times
    # Each by itself, so that a part of a file says the same of a number as all of it.
    seconds = times.seconds.cast(pl.Float64).zip_with(whole.is_not_null(), numbers / UNITS[unit])
    return Times(seconds, times.nanoseconds)


def unix_seconds(column: pl.Series, unit: str = "s") -> pl.Series | None:
    """The seconds of `times_of`, which are never rounded to more than a float64.

    >>> unix_seconds(pl.Series(["1970-01-02", "1970-01-01T01:00+01:00", "yesterday"])).to_list()
    [86400, 0, None]
    """
    times = times_of(column, unit)
    return None if times is None else times.seconds


def are_numbers(texts: pl.Series) -> pl.Series:
    """Which texts are finite numbers."""
    return texts.str.strip_chars().cast(pl.Float64, strict=False).is_finite().fill_null(False)


def are_dates(texts: pl.Series) -> pl.Series:
    """Which texts have the form of ISO 8601."""
    return texts.str.strip_chars().str.contains(_ISO_8601).fill_null(False)


def fitting_unit(number: float) -> str | None:
    """The largest unit in which a number lies within the years 1 to 9999, None where it does in none.

    >>> fitting_unit(1_700_000_000_000), fitting_unit(1_700_000_000_000_000), fitting_unit(1e40)
    ('ms', 'us', None)
    """
    return next((unit for unit, per_second in UNITS.items() if EARLIEST <= number / per_second <= LATEST), None)


def since_1970(moments: pl.Series) -> tuple[pl.Series, int]:
    """Moments and dates as whole numbers, and how many of them a second has.

    Also of those beyond the years that the library and Python can write out: they panic, and raise ValueError.
    """
    if isinstance(moments.dtype, pl.Datetime):
        return moments.to_physical(), UNITS[moments.dtype.time_unit]
    return moments.to_physical().cast(pl.Int64) * 86_400, UNITS["s"]


def _of_moments(column: pl.Series) -> Times:
    numbers, per_second = since_1970(column)
    if not bool((numbers // per_second).is_between(EARLIEST, LATEST).fill_null(True).all()):
        return Times(numbers / per_second)  # so that what lies beyond all years can be told of
    microseconds = column.cast(pl.Datetime("us")).dt.timestamp("us")
    seconds = microseconds / 1_000_000
    below = None
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_unit == "ns":
        below = column.dt.timestamp("ns") - microseconds * 1_000
    return _exact(seconds, microseconds, below)


def _of_integers(column: pl.Series, unit: str) -> Times:
    if unit == "s":  # of 64 bits at least: bounds do not fit into fewer
        return Times(column.cast(pl.Int64) if column.dtype in _SMALL else column)
    per_second = UNITS[unit]
    within = column.cast(pl.Int64, strict=False)
    if unit != "ns":  # in which no int64 lies beyond them
        within = within.set(~within.is_between(EARLIEST * per_second, LATEST * per_second).fill_null(True), None)
    whole = within // per_second
    parts = within - whole * per_second
    seconds = whole + parts / per_second
    microseconds = whole * 1_000_000 + parts * (1_000_000 // per_second) if unit != "ns" else within // 1_000
    times = _exact(seconds, microseconds, within - microseconds * 1_000 if unit == "ns" else None)
    if within.null_count() == column.null_count():
        return times
    return Times(column / per_second, times.nanoseconds)  # so that what lies beyond all years can be told of


def _of_dates(text: pl.Series) -> Times:
    part = pl.col("parts").struct
    moment = pl.concat_str(part[0], part[1].fill_null("00:00"), part[2].fill_null("00"), separator=" ")
    offset = part[5].cast(pl.Int64).fill_null(0) * 3600 + part[6].cast(pl.Int64).fill_null(0) * 60
    whole = moment.str.to_datetime("%Y-%m-%d %H:%M %S", strict=False, time_unit="us").dt.epoch("s") - pl.when(
        part[4] == "-"
    ).then(-offset).otherwise(offset)
    fraction = part[3].fill_null(".")
    nanoseconds = fraction.str.slice(1).str.pad_end(9, "0").cast(pl.Int64)
    groups = pl.select(parts=pl.lit(text).str.extract_groups(_ISO_8601))
    found = groups.select(
        seconds=whole + part[3].cast(pl.Float64).fill_null(0),
        microseconds=whole * 1_000_000 + nanoseconds // 1_000,
        below=nanoseconds % 1_000,
    )
    return _exact(found["seconds"], found["microseconds"], found["below"])


def _exact(seconds: pl.Series, microseconds: pl.Series, below: pl.Series | None) -> Times:
    """Float64 seconds with what they leave out of exact microseconds, and of nanoseconds below these.

    Rounded back to microseconds, equal seconds stay equal: what is left then orders events of one float64.
    """
    left = (microseconds - (seconds * 1_000_000).round().cast(pl.Int64)) * 1_000
    left = (left if below is None else left + below).fill_null(0)
    return Times(_whole_if_exact(seconds), left if bool((left != 0).any()) else None)


def _null_unless_finite(numbers: pl.Series) -> pl.Series:
    return numbers.set(~numbers.is_finite().fill_null(True), None)


def _whole_if_exact(seconds: pl.Series) -> pl.Series:
    whole = seconds.floor().cast(pl.Int64)
    return whole if bool((whole == seconds).fill_null(True).all()) else seconds
