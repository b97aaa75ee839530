"""A frame of any library is read as a file is: the same columns, types, checks and words."""

import datetime
from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nextitem.data.prepare import prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import found_in, read_interactions, rows_of
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.recipe import Recipe
from worlds.event_files import EVENTS

Make = Callable[[dict[str, Any]], Any]
LIBRARIES: dict[str, Make] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "lazy polars": lambda columns: pl.LazyFrame(columns),
    "pyarrow": pa.table,
}
every_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
UTC, BERLIN = datetime.UTC, datetime.timezone(datetime.timedelta(hours=1))


def read(frame: Any, columns: Columns | None = None) -> dict[str, list[Any]]:
    return read_interactions(frame, columns or Columns()).events.to_dict(as_series=False)


def refusal(frame: Any, columns: Columns | None = None, kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        read_interactions(frame, columns or Columns())
    return str(caught.value)


@every_library
def test_a_frame_of_any_library_is_read(make: Make) -> None:
    assert read(make(EVENTS)) == EVENTS
    named = {"visitor": EVENTS["user"], "sku": EVENTS["item"], "when": EVENTS["time"], "price": [1.5, None, 2.0]}
    assert read(make(named), Columns(time="when")) == EVENTS
    assert read(make(named), Columns(user="1", item="2", time="3")) == EVENTS
    assert found_in(make(named)).note().startswith("no column of times among visitor, sku, when, price")
    assert rows_of(make(EVENTS)).to_list() == [1, 2, 3]


@every_library
def test_ids_keep_their_types(make: Make) -> None:
    frame = make({"user_id": [7, 10], "item_id": ["007", " 7 "]})
    assert read(frame) == {"user": [7, 10], "item": ["007", " 7 "]}


@every_library
def test_moments_are_understood_with_their_zones(make: Make) -> None:
    naive = [datetime.datetime(1970, 1, 1, 0, 0, second, 250_000) for second in (1, 2, 3)]
    zoned = [moment.replace(tzinfo=UTC).astimezone(BERLIN) for moment in naive]
    for moments in (naive, zoned):
        assert read(make({**EVENTS, "time": moments}))["time"] == [1.25, 2.25, 3.25]
    assert read(make({**EVENTS, "time": [datetime.date(1970, 1, 2)] * 3}))["time"] == [86_400] * 3
    assert read(make({**EVENTS, "time": ["1970-01-01T01:00+01:00"] * 3}))["time"] == [0] * 3
    assert read(make({**EVENTS, "time": [0.5, 1.5, 2.0]}))["time"] == [0.5, 1.5, 2.0]


@every_library
@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("user", ["ann", None, "bob"], "frame:2:user: the value is missing; every event needs a value"),
        ("user", ["ann", "NaN", "bob"], "frame:2:user: 'NaN' stands for a missing value; "),
        ("user", ["ann", " ", "bob"], "frame:2:user: ' ' is blank; "),
        ("item", [1.0, 2.5, 2.0], "frame: column 'item' holds Float64"),
        ("item", [[1], [2], [3]], "frame: column 'item' holds "),
        ("item", [True, False, True], "frame: column 'item' holds Boolean, but ids are strings or integers"),
        ("time", [1, 2, 10**13], "frame:3:time: 10000000000000 lies outside the years 1 to 9999 if taken as unix sec"),
        ("time", [1.0, None, 2.0], "frame:2:time: the value is missing"),
        ("time", [1.0, float("nan"), 2.0], "frame:2:time: the value is missing"),
        ("time", ["2024-01-31", "soon", "2024-01-31"], "frame:2:time: 'soon' is not a time"),
    ],
)
def test_what_a_file_is_refused_for_a_frame_is_too(make: Make, column: str, values: list[Any], told: str) -> None:
    message = refusal(make({**EVENTS, column: values}))
    if "holds List" in told or values == [[1], [2], [3]]:
        assert message.startswith(("frame: column 'item' holds ", "frame:1:item: [1] is "))
    else:
        assert message.startswith(told)


@every_library
def test_columns_that_are_not_there_or_not_told_apart_are_refused(make: Make) -> None:
    assert "frame: there is no column 'user'; " in refusal(make({"who": ["a"], "item": [1]}))
    assert refusal(make({**EVENTS, "date": EVENTS["time"]})).startswith("frame: 'time' and 'date' could be the time; ")
    assert "there is no column 'who'" in refusal(make(EVENTS), Columns(user="who"))
    for columns in (Columns(format="csv"), Columns(separator=","), Columns(header="no")):
        assert "a frame is no file, and columns={" in refusal(make(EVENTS), columns, ConfigurationError)
    assert refusal(make({"user": [], "item": []})).startswith("frame has a header and no events; ")


@every_library
def test_floats_with_gaps_are_no_ids(make: Make) -> None:
    message = refusal(make({**EVENTS, "item": [1.0, float("nan"), 2.0]}))
    assert message.startswith(("frame:2:item: the value is missing", "frame: column 'item' holds Float64"))


def test_values_of_pandas_that_are_missing_in_many_ways_are_missing() -> None:
    for gap in (None, pd.NA, float("nan"), pd.NaT):
        frame = pd.DataFrame({"user": pd.Series(["a", gap, "b"], dtype=object), "item": [1, 2, 3]})
        assert refusal(frame).startswith("frame:2:user: the value is missing")
    integers = pd.DataFrame({"user": pd.array([1, None, 3], dtype="Int64"), "item": [1, 2, 3]})
    assert refusal(integers).startswith("frame:2:user: the value is missing")
    times = pd.DataFrame({**EVENTS, "time": pd.to_datetime(["2024-01-31", None, "2024-02-01"])})
    assert refusal(times).startswith("frame:2:time: the value is missing")


def test_types_of_pandas_are_understood() -> None:
    ids = {
        "nullable": pd.array([1, 2, 1], dtype="Int64"),
        "unsigned": pd.array([1, 2, 1], dtype="uint8"),
        "arrow": pd.array([1, 2, 1], dtype="int64[pyarrow]"),
        "objects": pd.Series([1, 2, 1], dtype=object),
        "categories": pd.Categorical([1, 2, 1]),
    }
    for column in ids.values():
        assert read(pd.DataFrame({**EVENTS, "user": column}))["user"] == [1, 2, 1]
    texts = (pd.Categorical(["a", "b", "a"]), pd.array(["a", "b", "a"], dtype="string"), ["a", "b", "a"])
    for column in (*texts, pd.Series(["a", "b", "a"], dtype=object)):
        assert read(pd.DataFrame({**EVENTS, "user": column}))["user"] == ["a", "b", "a"]
    assert read(pd.DataFrame([["a", "x", 5]]), Columns(user="0", item="1", time="2")) == {
        "user": ["a"], "item": ["x"], "time": [5],
    }  # fmt: skip
    ordered = pd.DataFrame(EVENTS, index=[5, 3, 9])
    assert read(ordered) == EVENTS


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, "a", 2], "frame:2:user: 'a' is a text, and row 1 has a whole number; give all values of the col"),
        ([None, "a", 2], "frame:3:user: 2 is a whole number, and row 2 has a text; "),
        ([1, 2.5, 3], "frame: column 'user' holds Float64"),
        ([1, 2**63, 3], "frame:2:user: 9223372036854775808 is beyond 64 bits with a sign; store such ids as strings"),
        ([True, 1, "a"], "frame:2:user: 1 is a whole number, and row 1 has true or false"),
        ([1, [2], 3], "frame:2:user: [2] is of list, and row 1 has a whole number"),
    ],
)
def test_a_column_of_objects_is_of_one_kind(values: list[Any], told: str) -> None:
    frame = pd.DataFrame({**EVENTS, "user": pd.Series(values, dtype=object)})
    assert refusal(frame).startswith(told)


def test_moments_with_and_without_a_zone_are_not_mixed() -> None:
    moments = [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-01-31", tz="UTC"), pd.Timestamp("2024-02-01")]
    frame = pd.DataFrame({**EVENTS, "time": pd.Series(moments, dtype=object)})
    assert refusal(frame).startswith("frame:2:time: <pandas.Timestamp> is a moment with a time zone, and row 1 has ")


def test_pyarrow_in_chunks_and_dictionaries_is_understood() -> None:
    table = pa.table({
        "user": pa.chunked_array([["ann"], ["ann", "bob"]]).dictionary_encode(),
        "item": pa.chunked_array([pa.array(["x"]), pa.array(["y", "x"])]),
        "time": pa.array([10, 20, 15], pa.timestamp("s")),
    })  # fmt: skip
    assert read(table) == EVENTS
    assert "holds Binary" in refusal(table.set_column(0, "user", pa.array([b"a", b"b", b"c"])))


def test_a_lazy_frame_that_fails_is_told_and_other_things_are_no_frames(tmp_path: Any) -> None:
    lazy = pl.scan_parquet(tmp_path / "gone.parquet")
    with pytest.raises(DataError, match="frame could not be read: No such file"):
        read_interactions(lazy)
    broken = pl.LazyFrame(EVENTS).with_columns(pl.col("user").cast(pl.Int64))
    assert refusal(broken).startswith("frame could not be computed: ")
    for thing in ([1, 2], {"user": ["a"], "item": ["b"]}, 5, None, pl.Series([1])):
        assert "should be the path of a file, or a frame of pandas, polars, pyarrow" in refusal(
            thing, kind=ConfigurationError
        )
    twice = pd.DataFrame([[1, 2]], columns=["user", "user"])
    assert refusal(twice).startswith("frame: Expected unique column names")


def test_without_pyarrow_columns_of_pandas_are_read_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_pyarrow(column: Any) -> Any:
        raise ModuleNotFoundError("pyarrow")

    monkeypatch.setattr("narwhals.Series.to_polars", without_pyarrow)
    moments = pd.to_datetime([*map(float, EVENTS["time"])], unit="s", utc=True)
    assert read(pd.DataFrame({**EVENTS, "time": moments})) == EVENTS
    assert read(pd.DataFrame({**EVENTS, "user": pd.array([1, 2, 3], dtype="Int64")}))["user"] == [1, 2, 3]
    assert refusal(pd.DataFrame({**EVENTS, "user": ["a", None, "b"]})).startswith("frame:2:user: the value is missing")


@every_library
def test_a_frame_is_prepared_as_the_file_of_it_is(make: Make, tmp_path: Any) -> None:
    columns = {"user": [1, 2, 1, 1, 2, 2, 3], "item": list("abcabca"), "time": [3, 1, 2, 9, 8, 7, 5]}
    pl.DataFrame(columns).write_parquet(tmp_path / "log.parquet")
    of_file = prepare(Recipe(data=str(tmp_path / "log.parquet")))
    of_frame = prepare(Recipe(), events=make(columns))
    assert of_frame.log.sha256(with_times=True) == of_file.log.sha256(with_times=True)
    assert of_frame.split.test.sha256 == of_file.split.test.sha256
    assert of_frame.notes == of_file.notes
    assert of_frame.source.data == of_frame.source.name == of_frame.split.test.dataset == "frame"
    given = prepare(Recipe(), events=read_interactions(make(columns)))
    assert given.log.sha256() == of_file.log.sha256()
    assert given.notes[0] == "the events that were given have times, which order the events of a user"


def test_events_are_given_by_whoever_gave_them_alone() -> None:
    frame = pl.DataFrame(EVENTS)
    with pytest.raises(ConfigurationError, match="the recipe names data=ml-1m, and events are given as well"):
        prepare(Recipe(data="ml-1m"), events=frame)
    with pytest.raises(ConfigurationError, match="data=frame stands for events that a Python program gave"):
        prepare(Recipe(data="frame"))
    with pytest.raises(ConfigurationError, match="are about a frame's or a file's"):
        prepare(Recipe(columns=Columns(user="who")), events=read_interactions(frame))
