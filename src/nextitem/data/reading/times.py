"""Times as they are written -> unix seconds. Only UTC: a date that names no offset from it is taken as UTC."""

import polars as pl

EARLIEST, LATEST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999; milliseconds of today lie far beyond

_ISO_8601 = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?"
    r"(?: ?(?:Z|UTC)|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?)?$"
)


def unix_seconds(times: pl.Series) -> pl.Series | None:
    """Unix seconds of numbers, dates or text, null where a value is no time; None where the type can hold no times.

    Whole seconds are integers, others float64 (which resolves 0.24 microseconds today). Text is either numbers or
    ISO 8601 throughout: the first value decides which.

    >>> unix_seconds(pl.Series(["1970-01-02", "1970-01-01T01:00+01:00", "yesterday"])).to_list()
    [86400, 0, None]
    """
    if isinstance(times.dtype, pl.Date | pl.Datetime):
        return _whole_if_exact(times.cast(pl.Datetime("us")).dt.timestamp("us") / 1_000_000)
    if times.dtype.is_integer():
        return times
    if times.dtype.is_numeric():
        return _null_unless_finite(times.cast(pl.Float64))
    if times.dtype != pl.String:
        return None
    text = times.str.strip_chars()
    numbers = _null_unless_finite(text.cast(pl.Float64, strict=False))
    if numbers.head(1).null_count():
        return _dates(text)
    whole = text.cast(pl.Int64, strict=False)
    return numbers if whole.null_count() else whole


def _dates(text: pl.Series) -> pl.Series:
    part = pl.col("parts").struct
    moment = pl.concat_str(part[0], part[1].fill_null("00:00"), part[2].fill_null("00"), separator=" ")
    offset = part[5].cast(pl.Int64).fill_null(0) * 3600 + part[6].cast(pl.Int64).fill_null(0) * 60
    seconds = (
        moment.str.to_datetime("%Y-%m-%d %H:%M %S", strict=False, time_unit="us").dt.epoch("s")
        - pl.when(part[4] == "-").then(-offset).otherwise(offset)
        + part[3].cast(pl.Float64).fill_null(0)
    )
    groups = pl.select(parts=pl.lit(text).str.extract_groups(_ISO_8601))
    return _whole_if_exact(groups.select(seconds.alias("seconds"))["seconds"])


def _null_unless_finite(numbers: pl.Series) -> pl.Series:
    return numbers.set(~numbers.is_finite().fill_null(True), None)


def _whole_if_exact(seconds: pl.Series) -> pl.Series:
    whole = seconds.floor().cast(pl.Int64)
    return whole if bool((whole == seconds).fill_null(True).all()) else seconds
