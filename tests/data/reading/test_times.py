"""Times as they are written."""

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.data.reading.times import EARLIEST, LATEST, unix_seconds

DAY = 24 * 3600


def converted(times: pl.Series) -> pl.Series:
    seconds = unix_seconds(times)
    assert seconds is not None
    return seconds


def seconds_of(*values: object) -> list[float | None]:
    return converted(pl.Series(values)).to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-02", DAY),
        ("1970-01-02T01:02", DAY + 3600 + 2 * 60),
        ("1970-01-02T01:02:03", DAY + 3600 + 2 * 60 + 3),
        ("1970-01-02 01:02:03", DAY + 3600 + 2 * 60 + 3),
        ("1970-01-02T01:02:03Z", DAY + 3600 + 2 * 60 + 3),
        ("1970-01-02 01:02:03 UTC", DAY + 3600 + 2 * 60 + 3),
        ("1970-01-02T01:02:03.25", DAY + 3600 + 2 * 60 + 3.25),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T02:00:00+0200", 0),
        ("1970-01-01T02:00:00+02", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1969-12-31", -DAY),
        (" 1970-01-02 ", DAY),
    ],
)
def test_iso_8601_becomes_unix_seconds(text: str, expected: float) -> None:
    assert seconds_of(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "31/12/2023",
        "2023-13-01",
        "2023-02-30",
        "2023-1-1",
        "2023-01-01T",
        "2023-01-01T25:00",
        "yesterday",
        "",
        "nan",
        "inf",
    ],
)
def test_what_is_no_time_is_null(text: str) -> None:
    assert seconds_of("2023-01-01", text) == [1672531200, None]


def test_numbers_are_seconds_and_stay_whole_where_they_are() -> None:
    assert seconds_of("978300760", "-1") == [978300760, -1]
    assert converted(pl.Series(["978300760", "-1"])).dtype == pl.Int64
    assert seconds_of("1.5", "2") == [1.5, 2.0]
    assert seconds_of("1e3", "nan", "inf") == [1000.0, None, None]


def test_the_first_value_decides_between_numbers_and_dates() -> None:
    assert seconds_of("17", "1970-01-02") == [17, None]
    assert seconds_of("1970-01-02", "17") == [DAY, None]


def test_columns_of_any_temporal_or_numeric_type_are_times() -> None:
    moment = datetime.datetime(1970, 1, 2)
    for unit in ("ms", "us", "ns"):
        assert converted(pl.Series([moment], dtype=pl.Datetime(unit))).to_list() == [DAY]
    zoned = pl.Series([moment]).dt.replace_time_zone("Europe/Berlin")
    assert converted(zoned).to_list() == [DAY - 3600]
    assert seconds_of(moment.date()) == [DAY]
    assert seconds_of(datetime.datetime(1970, 1, 1, 0, 0, 0, 500_000)) == [0.5]
    assert seconds_of(1.5, float("nan"), None) == [1.5, None, None]
    assert seconds_of(7, None) == [7, None]


def test_other_types_hold_no_times() -> None:
    assert unix_seconds(pl.Series([True])) is None
    assert unix_seconds(pl.Series([[1]])) is None


def test_the_limits_are_the_years_1_and_9999() -> None:
    assert seconds_of("0001-01-01", "9999-12-31T23:59:59") == [EARLIEST, LATEST]


ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)))


@given(st.datetimes(timezones=ZONES), st.sampled_from(["auto", "seconds", "minutes"]))
def test_every_moment_that_python_writes_is_understood(moment: datetime.datetime, precision: str) -> None:
    text = moment.isoformat(timespec=precision)
    expected = (
        datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    ).total_seconds()
    assert seconds_of(text)[0] == pytest.approx(expected, abs=1e-4)
