"""Raw ids as programs and files give them."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from nextitem.errors import ConfigurationError, DataError
from nextitem.serving.ids import ids_of, read_ids


@pytest.mark.parametrize(
    "given",
    [
        [1, 2],
        (1, 2),
        iter([1, 2]),
        np.array([1, 2]),
        [np.int32(1), np.uint64(2)],
        torch.tensor([1, 2]),
        pl.Series("id", [1, 2]),
        pl.Series([1, 2], dtype=pl.UInt8),
    ],
)
def test_numbers_of_any_library_are_ids(given: object) -> None:
    found = ids_of(given, "users")
    assert (found.name, found.dtype, found.to_list()) == ("", pl.Int64, [1, 2])


@pytest.mark.parametrize(
    "given", [["a", "b"], np.array(["a", "b"]), pl.Series(["a", "b"]), pl.DataFrame({"x": ["a", "b"]})]
)
def test_texts_of_any_library_are_ids(given: object) -> None:
    assert ids_of(given, "users").to_list() == ["a", "b"]


def test_a_mixture_becomes_text_and_nothing_is_a_column_of_text() -> None:
    assert ids_of([1, "b", 2**70], "users").to_list() == ["1", "b", str(2**70)]
    assert ids_of([], "users").dtype == ids_of(pl.Series([], dtype=pl.Int64), "users").dtype == pl.String


@pytest.mark.parametrize("value", [1.0, True, None, float("nan"), b"a", ["a"], np.array([1, 2])])
def test_whatever_else_is_no_id_and_is_named(value: object) -> None:
    with pytest.raises(DataError, match=r"users\[1\]=.* is no id; ids are strings and whole numbers"):
        ids_of(["a", value], "users")


def test_a_gap_in_a_series_is_no_id() -> None:
    with pytest.raises(DataError, match=r"users\[1\]=None is no id"):
        ids_of(pl.Series([7, None]), "users")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (os.mkfifo, "is a named pipe, and ids are read from files alone; write them into one"),
        (lambda file: file.symlink_to("/dev/zero"), "is a device, and ids are read from files alone"),
        (lambda file: file.symlink_to("nothing"), "is a link to nothing: there is no 'nothing'"),
    ],
)
@pytest.mark.parametrize("name", ["ids.txt", "ids.parquet", "ids.feather", "ids.txt.gz", "ids.txt.zst"])
def test_what_is_no_file_is_not_waited_for(
    make: Callable[[Path], object], fact: str, name: str, tmp_path: Path
) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError, match=fact):
        read_ids(tmp_path / name, "user")


def test_ids_are_read_from_packed_text_and_tables_of_every_kind(tmp_path: Path, written: Callable[..., Path]) -> None:
    table = pl.DataFrame({"price": [1, 2], "sku": ["i01", "i02"]})
    table.write_ipc(tmp_path / "ids.feather")
    table.write_parquet(tmp_path / "ids.parquet")
    files = [tmp_path / "ids.feather", tmp_path / "ids.parquet"]
    files += [written(f"ids.txt{packing}", "i01\ni02\n") for packing in ("", ".gz", ".zst")]
    for file in files:
        assert read_ids(file, "item").to_list() == ["i01", "i02"]
    (tmp_path / "ids.feather").write_bytes(b"ARROW1 and no more")
    with pytest.raises(DataError, match="is not a whole Arrow file"):
        read_ids(tmp_path / "ids.feather", "item")


def test_a_text_is_no_list_of_ids() -> None:
    with pytest.raises(ConfigurationError, match=r"users='12' is a text, where a list is meant; write users=\['12'\]"):
        ids_of("12", "users")


@pytest.mark.parametrize(
    "content",
    [
        "i01\ni02\n",
        "item\ni01\ni02",
        "\ufeffitem\r\n i01 \r\n\r\ni02\r\n",
        "sku,Item\n7,i01\n8,i02\n",
        "item_id:token\ni01\ni02\n",
        "price,product_id\n7,i01\n8,i02\n",
        '"i01"\n"i02"\n',
    ],
)
def test_a_file_holds_an_id_a_line_or_a_column_of_them(content: str, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes(content.encode())
    assert read_ids(tmp_path / "ids.txt", "item").to_list() == ["i01", "i02"]


def test_a_table_has_a_column_of_that_name_or_one_alone(tmp_path: Path) -> None:
    file = tmp_path / "ids.parquet"
    for table in ({"item": [7, 8], "price": [1, 2]}, {"sku": [7, 8], "price": [1, 2]}, {"code": [7, 8]}):
        pl.DataFrame(table).write_parquet(file)
        assert read_ids(file, "item").to_list() == [7, 8]
    pl.DataFrame({"code": [7], "price": [1]}).write_parquet(file)
    with pytest.raises(DataError, match="has no column of items among code, price; call one of them 'item'"):
        read_ids(file, "item")
    pl.DataFrame({"sku": [7], "asin": [1]}).write_parquet(file)
    with pytest.raises(DataError, match="has 2 columns of items among sku, asin"):
        read_ids(file, "item")
    pl.DataFrame({"item": [7, None]}).write_parquet(file)
    with pytest.raises(DataError, match=r"ids\.parquet:item\[1\]=None is no id"):
        read_ids(file, "item")
    pl.DataFrame({"item": [1.5]}).write_parquet(file)
    with pytest.raises(DataError, match=r"ids\.parquet:item\[0\]=1\.5 is no id"):
        read_ids(file, "item")
    file.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"ids\.parquet is not a whole parquet file"):
        read_ids(file, "item")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"i01,i02\n", "has no column of items among i01, i02; .* or give one item a line"),
        (b"i01\n\ni02,i03\n", r"ids\.csv:3: the row holds 2 fields, and the first one 1"),
        (b"item,price\ni01\n", r"ids\.csv:2: the row holds 1 field, and the first one 2"),
        (b"item,price\ni01,3\n ,4\n", r"ids\.csv:3: the id is blank; give it or drop the row"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"i01\n\0\0\0i02\n", r"ids\.csv:2: there is a NUL byte in the line"),
        (b"i01\n" + b"i" * 20_000_000, r"ids\.csv:2: the line is longer than 16,777,216 bytes"),
    ],
)
def test_a_line_of_something_else_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_ids(tmp_path / "ids.csv", "item")


def test_an_empty_file_holds_no_id_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("")
    assert len(read_ids(tmp_path / "ids.txt", "item")) == 0
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.txt"):
        read_ids(tmp_path / "nowhere.txt", "item")
