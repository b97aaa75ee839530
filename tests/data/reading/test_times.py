"""Times as they are written."""

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextitem.data.reading.times import EARLIEST, LATEST, UNITS, fitting_unit, times_of, unix_seconds

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


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt64, pl.String])
def test_whole_numbers_of_any_unit_become_seconds(unit: str, kind: type[pl.DataType]) -> None:
    numbers = pl.Series([1_700_000_000 * UNITS[unit], 0]).cast(kind)
    seconds = unix_seconds(numbers, unit)
    assert seconds is not None
    assert seconds.dtype.is_integer()
    assert seconds.to_list() == [1_700_000_000, 0]


@pytest.mark.parametrize(("unit", "number"), [("ms", 1_500), ("us", -2_250_000), ("ns", 1_750_000_000)])
def test_fractions_of_a_second_are_kept(unit: str, number: int) -> None:
    for column in (pl.Series([number]), pl.Series([float(number)]), pl.Series([str(number)])):
        seconds = unix_seconds(column, unit)
        assert seconds is not None
        assert seconds.to_list() == [number / UNITS[unit]]


def test_a_number_tells_the_unit_in_which_it_is_a_time() -> None:
    assert [fitting_unit(1_700_000_000 * per_second) for per_second in UNITS.values()] == list(UNITS)
    assert fitting_unit(float("inf")) is None


def test_numbers_beyond_all_years_stay_so_in_their_unit() -> None:
    for column in (pl.Series([1, 2**62]), pl.Series([1, 2**64 - 1], dtype=pl.UInt64), pl.Series(["1", str(2**62)])):
        seconds = unix_seconds(column, "ms")
        assert seconds is not None
        assert (seconds > LATEST).to_list() == [False, True]


def order_of(column: pl.Series, unit: str = "s") -> list[int]:
    times = times_of(column, unit)
    assert times is not None
    rest = pl.Series([0] * len(column)) if times.nanoseconds is None else times.nanoseconds
    return pl.DataFrame([times.seconds.alias("s"), rest.alias("n")]).with_row_index().sort("s", "n")["index"].to_list()


NANOSECONDS = st.lists(st.integers(0, 3_000), min_size=1, max_size=9)


@given(NANOSECONDS, st.sampled_from([0, 1_700_000_000 * 10**9 - 1_000, -(10**18), 2**63 - 1 - 3_000]))
def test_the_order_is_exact_to_the_nanosecond(offsets: list[int], start: int) -> None:
    exact = [start + offset for offset in offsets]
    expected = sorted(range(len(exact)), key=exact.__getitem__)  # ties in the order of the file
    moments = pl.Series(exact, dtype=pl.Datetime("ns"))
    text = moments.dt.strftime("%Y-%m-%dT%H:%M:%S.%9f")
    assert order_of(moments) == order_of(text) == order_of(pl.Series(exact), "ns") == expected
    assert order_of(pl.Series(exact).cast(pl.String), "ns") == expected


def test_where_seconds_resolve_the_times_nothing_is_added() -> None:
    moments = pl.Series([1_700_000_000_000_001, 1_700_000_000_000_002], dtype=pl.Datetime("us"))
    for column, unit in ((moments, "s"), (moments.cast(pl.Int64), "us"), (moments.cast(pl.Int64) // 1000, "ms")):
        times = times_of(column, unit)
        assert times is not None
        assert times.nanoseconds is None
