"""Tables of items in every format, and what is told of one that cannot be read."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nextitem.data.features.columns import FeatureColumns, Features, parse_item_columns
from nextitem.data.features.files import rows_asked_for, rows_of_file
from nextitem.data.features.rows import Rows
from nextitem.errors import ConfigurationError, DataError

ROWS = {"item": ["7", "9"], "title": ["Léon", "Heat"], "genres": ["crime|drama", "crime"]}
LISTS = pl.DataFrame({"item": [7, 9], "title": ["Léon", "Heat"], "genres": [["crime", "drama"], ["crime"]]})


def read(file: Path, columns: str = "", encoding: str = "utf-8") -> Rows:
    asked = parse_item_columns(columns) if columns else FeatureColumns()
    return rows_of_file(Features(file=file, columns=asked, encoding=encoding))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'item,title,genres\n7,"Léon",crime|drama\n\n9,Heat,crime\n'),
        ("a.tsv", "item\ttitle\tgenres\n7\tLéon\tcrime|drama\n\n9\tHeat\tcrime\n"),
        ("a.item", "item\ttitle\tgenres\n7\tLéon\tcrime|drama\n\n9\tHeat\tcrime\n"),
        ("a.dat", "\n7::Léon::crime|drama\n\n9::Heat::crime\n"),
    ],
)
def test_texts_are_read_with_their_lines(name: str, content: str, tmp_path: Path) -> None:
    for file in (written(tmp_path, name, content), written(tmp_path, f"{name}.gz", gzip.compress(content.encode()))):
        rows = read(file)
        assert rows.table.to_dict(as_series=False) == ROWS
        assert rows.numbers.to_list() == [2, 4]
        assert rows.place == str(file)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.parquet", pl.DataFrame.write_parquet),
        ("a.arrow", pl.DataFrame.write_ipc),
        ("a.feather", pl.DataFrame.write_ipc_stream),
        ("a.jsonl", pl.DataFrame.write_ndjson),
    ],
)
def test_lists_stay_lists(name: str, write: Callable[[pl.DataFrame, Path], None], tmp_path: Path) -> None:
    write(LISTS, tmp_path / name)
    rows = read(tmp_path / name)
    assert rows.table.equals(LISTS)
    assert rows.numbers.to_list() == [1, 2]


def test_one_object_gives_lists_or_columns(tmp_path: Path) -> None:
    lists = read(written(tmp_path, "a.json", '{"7": [3, 1], "9": []}')).table
    assert lists.to_dicts() == [{"item": "7", "attributes": [3, 1]}, {"item": "9", "attributes": []}]
    columns = read(written(tmp_path, "b.json", '{"7": {"title": "Heat"}, "9": {"year": 1995}}')).table
    assert columns.rows(named=True)[1] == {"item": "9", "title": None, "year": 1995}


def test_lines_of_json_may_lack_what_others_have_and_mix_numbers_with_texts(tmp_path: Path) -> None:
    lines = '{"item": 7, "tags": [1, "a"], "year": 1995}\n\n{"item": 9, "year": 1995.5, "more": {"x": 1}}\n'
    rows = read(written(tmp_path, "a.jsonl", lines))
    assert rows.table["tags"].to_list() == [["1", "a"], None]
    assert rows.table["year"].to_list() == [1995, 1995.5]
    assert rows.numbers.to_list() == [1, 3]


def test_columns_go_by_number_without_a_header(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "u.item", "7|Heat|x\n9|Alien|y\n"), "separator=pipe,id=1,title=2")
    assert rows.table.to_dict(as_series=False) == {"1": ["7", "9"], "2": ["Heat", "Alien"], "3": ["x", "y"]}


def test_latin_1_is_read_where_it_is_said_and_told_of_where_it_is_not(tmp_path: Path) -> None:
    file = written(tmp_path, "movies.dat", "9::Heat::crime\n7::Léon::crime\n".encode("latin-1"))
    assert read(file, encoding="latin-1").table["title"].to_list() == ["Heat", "Léon"]
    with pytest.raises(
        DataError, match=r"movies.dat:2: the byte 0xe9 is not UTF-8; .* say features.encoding=latin-1 or"
    ):
        read(file)


@pytest.mark.parametrize(
    ("frame"),
    [LISTS, LISTS.lazy(), LISTS.to_arrow(), pd.DataFrame(LISTS.to_dict(as_series=False))],
    ids=["polars", "lazy", "pyarrow", "pandas"],
)
def test_frames_of_any_library_are_tables(frame: object) -> None:
    rows = rows_asked_for(Features(), frame)
    assert rows is not None
    assert rows.table.select("title", "genres").to_dicts() == LISTS.select("title", "genres").to_dicts()
    assert (rows.place, rows.numbers.to_list()) == ("items", [1, 2])


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("a.cvs", "x", "the ending of the name has to tell the format; did you mean '.csv'?"),
        ("a.parquet.gz", "x", ".parquet files pack their columns themselves"),
        ("a.csv", "", "a.csv is empty; give one with a row for each item"),
        ("a.csv", "item,title\n", "a.csv has no rows; give one with a row for each item"),
        ("a.csv", "item;title\n7;a\n", "the first line is divided by ';' and not by ','; say so by --item-columns sep"),
        (
            "a.csv",
            "item,title\n7,a\n9,b,c\n",
            "a.csv:3: '9,b,c' has 3 fields divided by ',', not 2 (item, title); corre",
        ),
        ("a.csv", "item,item\n7,a\n", "two columns are called 'item'; rename one of them"),
        ("a.dat", "7::a\n9::b\n", "give columns by number, such as --item-columns id=1,title=2"),
        ("a.json", "[1]", "is no JSON object from ids to lists"),
        ("a.json", '{"7": ["a"], "9": "b"}', "entry 2, '9', holds \"b\" where a list of attributes is meant"),
        ("a.json", '{"7": ', "a.json: this is no JSON"),
        ("a.jsonl", '{"item": 7}\n[1]\n', "a.jsonl:2: the line is no JSON object"),
        ("a.jsonl", '{"item": 7}\n{"item"\n', "a.jsonl:2: this is no JSON"),
        ("a.jsonl", '{"item": 7}\n{"item": [7]}\n', "the column 'item' mixes int and list; write values of one kind"),
        ("a.parquet", "PAR1", "a.parquet"),
        ("a.arrow", "ARROW1", "a.arrow could not be read"),
        ("a.csv.gz", "item,title\n7,a\n", "a.csv.gz is not a complete gzip file"),
    ],
)
def test_what_is_no_table_is_refused(name: str, content: str, fact: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        read(written(tmp_path, name, content))
    assert fact in str(refused.value)


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    written(tmp_path, "movies.csv", "x")
    with pytest.raises(DataError, match=r"did you mean 'movies.csv'\?"):
        read(tmp_path / "movie.csv")


def test_what_is_said_of_texts_is_not_for_other_files(tmp_path: Path) -> None:
    LISTS.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(ConfigurationError, match="has columns with names, and nothing divides them; leave out"):
        read(tmp_path / "a.parquet", "separator=tab")
    with pytest.raises(ConfigurationError, match=r"is no text; leave out features.encoding=latin-1"):
        read(tmp_path / "a.parquet", encoding="latin-1")


def test_a_frame_and_a_file_are_one_too_many_and_columns_of_neither_are_too() -> None:
    with pytest.raises(ConfigurationError, match=r"given as a frame and as features.file=a.csv: give one of the two"):
        rows_asked_for(Features(file="a.csv"), LISTS)
    with pytest.raises(ConfigurationError, match="no table is named; name one by items=FILE"):
        rows_asked_for(Features(columns=FeatureColumns(title="name")))
    with pytest.raises(ConfigurationError, match="is no frame of pandas, polars or pyarrow"):
        rows_asked_for(Features(), [1, 2])
    with pytest.raises(DataError, match="items is a frame without rows"):
        rows_asked_for(Features(), pa.table({"item": pa.array([], pa.int64())}))
    assert rows_asked_for(Features()) is None


def test_what_is_written_twice_in_an_object_is_seen(tmp_path: Path) -> None:
    content = json.dumps({"7": ["a"]})[:-1] + ', "7": ["b"]}'
    assert read(written(tmp_path, "a.json", content)).table["item"].to_list() == ["7", "7"]
