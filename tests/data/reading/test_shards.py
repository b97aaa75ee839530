"""Several files are one log, in the order of their names, as long as they are alike."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem.data.mapped.folder import read_manifest
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import found_in, places_of, read_interactions, read_parts
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.recipe import Recipe
from worlds.event_files import CSV, EVENTS, Write, refusal

TABLE = pl.DataFrame(EVENTS)
WRITERS = {
    ".csv": lambda table, file: table.write_csv(file),
    ".tsv": lambda table, file: table.write_csv(file, separator="\t"),
    ".jsonl": lambda table, file: table.write_ndjson(file),
    ".parquet": lambda table, file: table.write_parquet(file),
    ".arrow": lambda table, file: table.write_ipc(file),
}


def dealt(folder: Path, ending: str, table: pl.DataFrame = TABLE) -> Path:
    """One row a file."""
    folder.mkdir()
    for row in range(table.height):
        WRITERS[ending](table[row], folder / f"part-{row}{ending}")
    return folder


def all_refuse(events: str, out: Path, kind: type[Exception] = DataError) -> str:
    """What reading whole, in parts, and preparing are refused with."""
    told = set()
    for read in (read_interactions, lambda path: list(read_parts(path)), lambda path: prepare_into(out, path)):
        with pytest.raises(kind) as caught:
            read(events)
        told.add(str(caught.value))
    assert not out.exists()
    assert len(told) == 1
    return told.pop()


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("pattern", ["", "*", "part-*{}", "../*/*{}"])
def test_a_folder_or_a_pattern_is_one_log(tmp_path: Path, ending: str, pattern: str) -> None:
    folder = dealt(tmp_path / "log", ending)
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.crc").touch()
    events = str(folder / pattern.format(ending)) if pattern else str(folder)
    if pattern == "*":
        (folder / "_SUCCESS").unlink()
        (folder / ".part-0.crc").unlink()
    assert read_interactions(events).events.to_dict(as_series=False) == EVENTS
    assert [user for part in read_parts(events) for user in part.user] == EVENTS["user"]
    places = places_of(events)
    assert [Path(file).name for file in places["file"]] == [f"part-{n}{ending}" for n in range(3)]
    assert places["row"].n_unique() == 1


def test_whether_ids_are_integers_is_decided_by_all_files(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "log", ".csv", pl.DataFrame({"user": ["7", "8", "x"], "item": ["1", "2", "3"]}))
    assert read_interactions(folder).events.rows() == [("7", 1), ("8", 2), ("x", 3)]


def test_times_of_all_files_are_of_one_kind(tmp_path: Path) -> None:
    times = pl.Series(["1700000000", "1700000000.5", "1700000001"])
    folder = dealt(tmp_path / "log", ".csv", TABLE.with_columns(time=times))
    assert read_interactions(folder).events["time"].to_list() == [1700000000, 1700000000.5, 1700000001]
    fine = dealt(tmp_path / "fine", ".parquet", TABLE.with_columns(time=pl.Series([10**18, 10**18 + 1, 2])))
    columns = Columns(time_unit="ns")
    one = TABLE.with_columns(time=pl.Series([10**18, 10**18 + 1, 2]))
    one.write_parquet(tmp_path / "one.parquet")
    assert read_interactions(fine, columns).events.equals(read_interactions(tmp_path / "one.parquet", columns).events)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("2024-01-01T00:00", "2024-01-02T00:00Z", "b.csv:2:time: '2024-01-02T00:00Z' names an offset from UTC where"),
        ("1700000000", "2024-01-02", "b.csv:2:time: '2024-01-02' is a date where the column begins with numbers"),
        ("2024-01-02", "1700000000", "b.csv:2:time: '1700000000' is a number where the column begins with dates"),
        ("1700000000", "1700000000000", "b.csv:2:time: '1700000000000' looks like milliseconds where other times"),
    ],
)  # fmt: skip
def test_times_are_written_in_one_way_in_all_files(tmp_path: Path, first: str, second: str, said: str) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    for name, time in (("a.csv", first), ("b.csv", second)):
        (folder / name).write_text(f"user,item,time\nann,x,{time}\n")
    assert said in all_refuse(str(folder), tmp_path / "out")


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_a_file_that_says_it_has_no_events_may_be_one_of_several_and_is_no_log(tmp_path: Path, ending: str) -> None:
    folder = dealt(tmp_path / "log", ending)
    WRITERS[ending](TABLE[:0], folder / f"part-1a{ending}")
    assert read_interactions(folder).events.to_dict(as_series=False) == EVENTS
    assert [user for part in read_parts(folder) for user in part.user] == EVENTS["user"]
    none = tmp_path / "none"
    none.mkdir()
    for name in "ab":
        WRITERS[ending](TABLE[:0], none / f"{name}{ending}")
    assert all_refuse(str(none), tmp_path / "out").endswith(
        "none of the files has an event; give one with at least one event"
    )


@pytest.mark.parametrize("ending", WRITERS)
def test_shards_are_prepared_as_they_are_read_and_named(tmp_path: Path, ending: str) -> None:
    folder = dealt(tmp_path / "log", ending, pl.concat([TABLE] * 3))
    prepare_into(tmp_path / "prepared", str(folder))
    raw, prepared = prepare(Recipe(data=str(folder))), prepare(Recipe(data=str(tmp_path / "prepared")))
    assert raw.log.sha256(with_times=True) == prepared.log.sha256(with_times=True)
    assert raw.notes == prepared.notes
    names = ", ".join(f"part-{n}{ending}" for n in range(9))
    assert raw.notes[-1] == f"9 files are one log, in this order: {names}"
    assert read_manifest(tmp_path / "prepared").source == tuple(str(folder / f"part-{n}{ending}") for n in range(9))
    assert raw.split.test.dataset == prepared.split.test.dataset == "log"


def test_a_folder_by_its_name_alone_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt(tmp_path / "log", ".csv", pl.concat([TABLE] * 3))
    monkeypatch.chdir(tmp_path)
    assert len(prepare(Recipe(data="log")).log.users) == 2
    with pytest.raises(ConfigurationError, match="there is no dataset 'lgo'"):
        prepare(Recipe(data="lgo"))


def test_a_bad_row_is_told_by_its_file(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "log", ".csv")
    (folder / "part-1.csv").write_text("user,item,time\nann,y,soon\n")
    file = folder / "part-1.csv"
    assert all_refuse(str(folder), tmp_path / "out").startswith(f"{file}:2:time: 'soon' is not a time")
    file.write_text("user,item,time\n")
    assert all_refuse(str(folder), tmp_path / "out").startswith(f"{file} has a header and no events")


@pytest.mark.parametrize(
    ("ending", "change", "told"),
    [
        (".csv", {"user": "visitor"}, "'user', and {} in 'visitor'; make them alike, or read them apart"),
        (".parquet", {"time": "stamp"}, "{first} has the time in 'time', and {} in no column; make them alike"),
        (".arrow", {"item": "sku"}, "{first} has the item in 'item', and {} in 'sku'"),
        (".jsonl", {"item": "sku"}, "{first} has the item in 'item', and {} in 'sku'"),
    ],
)
def test_files_with_other_columns_are_refused_by_name(
    tmp_path: Path, ending: str, change: dict[str, str], told: str
) -> None:
    folder = dealt(tmp_path / "log", ending)
    other = folder / f"part-2{ending}"
    WRITERS[ending](TABLE.rename(change), other)
    message = all_refuse(str(folder), tmp_path / "out")
    assert told.format(other, first=folder / f"part-0{ending}") in message


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("user", [1, 2, 3], "{first} has texts in 'user', and {other} has whole numbers; make them alike"),
        ("user", pl.Series(["a", "b", "c"], dtype=pl.Categorical), ""),
        ("time", pl.Series([1, 2, 3]).cast(pl.Datetime("us")), "numbers in 'time', and {other} has moments without a"),
        ("time", [1.5, 2.5, 3.5], ""),
        ("time", pl.Series([1, 2, 3], dtype=pl.Int16), ""),
    ],
)
def test_files_with_other_types_are_refused_by_name(tmp_path: Path, column: str, values: Any, told: str) -> None:
    folder = dealt(tmp_path / "log", ".parquet")
    other = folder / "part-2.parquet"
    pl.concat([TABLE.with_columns(pl.Series(column, values))] * 3).write_parquet(other)
    if not told:
        assert len(read_interactions(folder)) == 11
        prepare_into(tmp_path / "out", str(folder))
        return
    assert told.format(first=folder / "part-0.parquet", other=other) in all_refuse(str(folder), tmp_path / "out")


def test_objects_with_other_kinds_of_ids_are_refused_by_name(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "log", ".jsonl")
    (folder / "part-1.jsonl").write_text(json.dumps({"user": 7, "item": "x", "time": 5}))
    assert "has texts in 'user', and" in all_refuse(str(folder), tmp_path / "out")


def test_moments_of_some_zone_and_of_none_are_not_one_log(tmp_path: Path) -> None:
    moments = TABLE.with_columns(time=pl.Series([1, 2, 3]).cast(pl.Datetime("us")))
    folder = dealt(tmp_path / "log", ".parquet", moments)
    zoned = moments.with_columns(pl.col("time").dt.replace_time_zone("Europe/Berlin"))
    zoned.write_parquet(folder / "part-1.parquet")
    told = all_refuse(str(folder), tmp_path / "out")
    assert "has moments without a time zone in 'time', and" in told
    assert "has moments with a time zone" in told


def test_files_of_other_formats_and_widths_are_refused_by_name(tmp_path: Path, written: Write) -> None:
    folder = dealt(tmp_path / "log", ".csv")
    TABLE.write_parquet(folder / "rest.parquet")
    told = f"{folder / 'part-0.csv'} is read as csv, and {folder / 'rest.parquet'} as parquet; make them alike"
    assert all_refuse(str(folder), tmp_path / "out").startswith(told)
    (folder / "rest.parquet").rename(folder / "README")
    assert "README: the ending of the name has to tell the format" in all_refuse(str(folder), tmp_path / "out")
    written("a.data", "1\t2\t5\n")
    written("b.data", "1\t2\t5\t9\n")
    message = refusal(tmp_path / "*.data", Columns(separator="tab", user="1", item="2", time="3"))
    assert message.startswith(f"{tmp_path / 'a.data'} has 3 columns, and {tmp_path / 'b.data'} has 4; ")


def test_folders_that_hold_no_files_or_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log" / "day-1").mkdir(parents=True)
    (tmp_path / "log" / "day-1" / "part.csv").write_text(CSV)
    assert all_refuse(str(tmp_path / "log"), tmp_path / "out") == (
        f"{tmp_path / 'log'} is a folder with a folder in it, day-1; name the files that are one log by a pattern, "
        f"such as '{tmp_path / 'log'}/*/*.parquet'"
    )
    assert found_in(tmp_path / "log" / "day-*" / "*.csv").columns.user == "user"
    (tmp_path / "none").mkdir()
    assert "is a folder without files" in all_refuse(str(tmp_path / "none"), tmp_path / "out")
    assert all_refuse(str(tmp_path / "*.csv"), tmp_path / "out").endswith("; check the path")
