import csv
import json
from pathlib import Path
from typing import IO

import polars as pl
import pytest

from nextitem.errors import ConfigurationError, StorageError
from nextitem.serving.parts.tables import LIST_FORMATS, as_table, check_format, write_table
from nextitem.serving.question import Recommendation

LISTS = [
    [Recommendation("i1", 0.5, "model"), Recommendation("i2", -1.25, "model")],
    [],
    [Recommendation("i3", 7.0, "popularity")],
]
TITLES = {"i1": 'Größe, "M"', "i3": "Tea"}
TABLE = as_table(["ann", "bob", "cia"], LISTS, TITLES)
ROWS = [
    {"user": "ann", "rank": 1, "item": "i1", "score": 0.5, "source": "model", "title": 'Größe, "M"'},
    {"user": "ann", "rank": 2, "item": "i2", "score": -1.25, "source": "model", "title": None},
    {"user": "cia", "rank": 1, "item": "i3", "score": 7.0, "source": "popularity", "title": "Tea"},
]
each_format = pytest.mark.parametrize("ending", LIST_FORMATS)


def test_a_table_has_a_row_for_each_recommendation() -> None:
    assert TABLE.to_dicts() == ROWS


def test_without_titles_there_is_no_column_of_them() -> None:
    assert as_table(["ann", "bob", "cia"], LISTS, {}).columns == ["user", "rank", "item", "score", "source"]


def test_numbers_stay_numbers() -> None:
    table = as_table([7], [[Recommendation(70, 1.0, "model")]], {70: "Tea"})
    assert table.row(0) == (7, 1, 70, 1.0, "model", "Tea")


def test_a_table_without_a_row_says_what_would_stand_in_it() -> None:
    table = as_table(pl.Series([7]), [[]], {}, pl.Int64())
    types = {"user": pl.Int64, "rank": pl.Int64, "item": pl.Int64, "score": pl.Float64, "source": pl.String}
    assert table.schema == types
    assert as_table([], [], {}).schema == types | {"user": pl.String, "item": pl.String}


def test_lists_and_their_owners_are_as_many() -> None:
    with pytest.raises(ValueError, match="longer"):
        as_table(["ann"], LISTS, {})


def test_csv_has_a_header_and_quotes_where_they_are_needed(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "lists.csv")
    with (tmp_path / "lists.csv").open(encoding="utf-8", newline="") as content:
        found = list(csv.DictReader(content))
    assert found == [{key: "" if value is None else str(value) for key, value in row.items()} for row in ROWS]


def test_jsonl_has_an_object_a_line(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "lists.jsonl")
    lines = (tmp_path / "lists.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert "Größe" in lines[0]


def test_parquet_keeps_the_types(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "lists.parquet")
    assert pl.read_parquet(tmp_path / "lists.parquet").equals(TABLE)


@each_format
def test_nobody_and_nothing_is_a_file_as_well(ending: str, tmp_path: Path) -> None:
    write_table(as_table(["ann"], [[]], {}), tmp_path / f"lists{ending}")
    assert (tmp_path / f"lists{ending}").is_file()


@each_format
def test_a_file_that_is_there_is_replaced_and_nothing_else_is_left(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"lists{ending}"
    file.write_text("older " * 10_000)
    write_table(TABLE, file)
    assert b"older" not in file.read_bytes()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["lists", "lists.txt", "lists.csv.gz", "lists.CSV", ".csv"])
def test_an_ending_that_tells_no_format_is_refused(name: str, tmp_path: Path) -> None:
    for attempt in (check_format, lambda file: write_table(TABLE, file)):
        with pytest.raises(ConfigurationError, match=r"has to tell the format; known: \.csv, \.jsonl, \.parquet"):
            attempt(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ending", "method"), [(".csv", "write_csv"), (".parquet", "write_parquet")])
def test_a_failure_leaves_the_older_file_and_nothing_half_written(
    ending: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(table: pl.DataFrame, partial: IO[bytes]) -> None:
        partial.write(b"half of it")
        raise OSError(28, "No space left on device")

    file = tmp_path / f"lists{ending}"
    file.write_text("older")
    monkeypatch.setattr(pl.DataFrame, method, fail)
    with pytest.raises(StorageError, match=r"cannot write .*lists.*No space left on device.*free space"):
        write_table(TABLE, file)
    assert file.read_text() == "older"
    assert list(tmp_path.iterdir()) == [file]


@each_format
def test_a_folder_that_is_not_there_is_a_storage_error(ending: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        write_table(TABLE, tmp_path / "nowhere" / f"lists{ending}")


@each_format
def test_a_file_in_place_of_the_folder_is_a_storage_error(ending: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_table(TABLE, tmp_path / "file" / f"lists{ending}")


@each_format
def test_a_folder_in_place_of_the_file_is_a_storage_error(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"lists{ending}").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write_table(TABLE, tmp_path / f"lists{ending}")
    assert [path.name for path in tmp_path.iterdir()] == [f"lists{ending}"]
