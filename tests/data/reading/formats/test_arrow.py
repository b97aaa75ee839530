"""Arrow files keep their types, and what is none is named for what it is."""

import datetime
import io
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem.data.reading import tables
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import found_in, read_interactions, read_parts
from nextitem.data.reading.tables import table
from nextitem.errors import DataError
from worlds.event_files import EVENTS, refusal


@pytest.mark.parametrize("ending", [".arrow", ".feather", ".ipc", ".FEATHER"])
@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_an_arrow_file_keeps_its_types(tmp_path: Path, ending: str, compression: Any) -> None:
    file = tmp_path / f"log[1]*{ending}"
    pl.DataFrame({"extra": [[], None, [2]], **EVENTS}).write_ipc(file, compression=compression)
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS
    assert found_in(file).header == ("extra", "user", "item", "time")
    strings = {"user_id": ["7", "10"], "item_id": pl.Series(["1", " 2"], dtype=pl.Categorical)}
    pl.DataFrame(strings).write_ipc(file, compression=compression)
    assert read_interactions(file).events.to_dict(as_series=False) == {"user": ["7", "10"], "item": ["1", " 2"]}


def test_files_that_pyarrow_and_pandas_write_are_read(tmp_path: Path) -> None:
    feather = pytest.importorskip("pyarrow.feather")
    pyarrow = pytest.importorskip("pyarrow")
    file = tmp_path / "log.feather"
    moments = [datetime.datetime.fromtimestamp(time, datetime.UTC) for time in EVENTS["time"]]
    table = pyarrow.table({
        "user": pyarrow.array(EVENTS["user"]).dictionary_encode(),
        "item": pyarrow.chunked_array([["x"], ["y", "x"]]),
        "time": pyarrow.array(moments, pyarrow.timestamp("ms", "Europe/Berlin")),
    })  # fmt: skip
    feather.write_feather(table, file)
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS
    pytest.importorskip("pandas").DataFrame(EVENTS).to_feather(file)
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS


def test_an_arrow_file_is_read_in_parts(tmp_path: Path) -> None:
    file = tmp_path / "log.arrow"
    table = pl.DataFrame({"user": range(1000), "item": range(1000)})
    table.write_ipc(file, record_batch_size=64)
    parts = list(read_parts(file, events=100))
    assert len(parts) > 3
    assert [user for part in parts for user in part.user] == list(range(1000))


def test_rows_are_told(tmp_path: Path) -> None:
    file = tmp_path / "log.arrow"
    pl.DataFrame({"user": [1, 2, None], "item": ["x", " ", "y"]}).write_ipc(file)
    assert refusal(file) == f"{file}:3:user: the value is missing; every event needs a value, give it or drop the row"
    pl.DataFrame({"user": [1.5], "item": ["x"]}).write_ipc(file)
    assert "column 'user' holds Float64" in refusal(file)
    pl.DataFrame({"user": [[1]], "item": ["x"]}).write_ipc(file)
    assert "column 'user' holds List(Int64)" in refusal(file)
    assert "there is no column 'who'" in refusal(file, Columns(user="who"))


def test_what_is_no_arrow_file_is_named(tmp_path: Path) -> None:
    file, sink = tmp_path / "log.arrow", io.BytesIO()
    pl.DataFrame(EVENTS).write_ipc(sink)
    whole = sink.getvalue()
    for content, fact in (
        (whole[:-3], "is not a whole Arrow file: it does not end like one; write or download it again"),
        (b"user,item\n", "is not a whole Arrow file: it does not begin like one; write or download it again"),
        (b"", "is not a whole Arrow file: it does not begin like one; write or download it again"),
        (b"FEA1" + whole, "is of Feather's first version; write it in the second one"),
    ):
        file.write_bytes(content)
        assert refusal(file) == f"{file} {fact}"
    with file.open("wb") as stream:
        pl.DataFrame(EVENTS).write_ipc_stream(stream)
    assert refusal(file).startswith(f"{file} is an Arrow stream, which has to be read to its end; ")
    csv = tmp_path / "log.csv"
    csv.write_bytes(whole)
    assert refusal(csv) == f"{csv} is not text: it begins like an Arrow file; name it .arrow"


def test_a_file_that_is_cut_short_while_it_is_read_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_AT_ONCE", 1)
    file = tmp_path / "log.arrow"
    users = pl.Series([f"u{user % 7}" for user in range(6000)], dtype=pl.Categorical)
    pl.DataFrame({"user": users, "item": range(6000), "time": range(6000)}).write_ipc(file, record_batch_size=1000)
    parts = read_parts(file, events=1000)
    assert next(parts).user.to_list() == users[:1000].cast(pl.String).to_list()
    os.truncate(file, 100)
    with pytest.raises(DataError, match=r"log.arrow changed while it was read \([\d,]+ bytes before, 100 now\)"):
        list(parts)


def test_a_file_of_many_batches_is_read_in_order_and_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log.arrow"
    log = pl.DataFrame({"user": ["a"] * 5000, "item": range(5000), "time": range(5000)})
    log.write_ipc(file, record_batch_size=900, compression="zstd")
    for at_once in (1, 10_000, 1 << 26):
        monkeypatch.setattr(tables, "_AT_ONCE", at_once)
        assert read_interactions(file).events["item"].to_list() == [*range(5000)]
        assert table(file).equals(log)
