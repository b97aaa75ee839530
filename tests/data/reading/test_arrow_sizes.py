"""An Arrow file has the rows that it states, or it is refused before anything is decoded."""

import io
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem.data.reading.arrow_sizes import stated_rows
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.errors import DataError

TABLE = pl.DataFrame({"user": [f"u{row % 7}" for row in range(60)], "item": range(60), "nested": [[1, 2]] * 60})


@pytest.fixture
def content() -> bytes:
    sink = io.BytesIO()
    TABLE.write_ipc(sink, record_batch_size=25)
    return sink.getvalue()


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
@pytest.mark.parametrize("batch", [None, 1, 7, 60])
def test_the_rows_of_a_file_are_those_of_its_batches(tmp_path: Path, compression: Any, batch: int | None) -> None:
    file = tmp_path / "log.arrow"
    TABLE.write_ipc(file, compression=compression, record_batch_size=batch)
    assert stated_rows(file) == 60
    TABLE.head(0).write_ipc(file, compression=compression)
    assert stated_rows(file) == 0
    feather = pytest.importorskip("pyarrow.feather")
    feather.write_feather(TABLE.to_arrow(), file, compression=compression, chunksize=batch or 60)
    assert stated_rows(file) == 60


def test_files_of_older_versions_and_with_dictionaries_are_understood(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"user": pyarrow.array(["a", "b", "a"]).dictionary_encode()})
    for legacy in (True, False):
        options = pyarrow.ipc.IpcWriteOptions(use_legacy_format=legacy)
        file = str(tmp_path / "log.arrow")
        with pyarrow.OSFile(file, "wb") as sink, pyarrow.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
            writer.write_table(table)
        assert stated_rows(tmp_path / "log.arrow") == 6


def test_a_footer_of_fewer_batches_is_no_whole_file(tmp_path: Path, content: bytes) -> None:
    file, found = tmp_path / "log.arrow", set()
    start = len(content) - 10 - int.from_bytes(content[-10:-6], "little")
    for place in range(start, len(content) - 10):
        if content[place] == 3:  # one of these is the number of batches
            file.write_bytes(content[:place] + b"\x02" + content[place + 1 :])
            try:
                assert stated_rows(file) == 60
            except DataError as error:
                found.add(str(error).partition(": ")[2].partition(" and its footer")[0].split(" at byte")[0])
    assert "its batches end" in found


@pytest.mark.parametrize("seed", range(4))
def test_what_is_damaged_is_refused_or_has_all_rows(tmp_path: Path, content: bytes, seed: int) -> None:
    draws, refused = random.Random(seed), 0
    for number in range(40):
        # Never over another one: the library maps a file, and a thread of a reading that failed may be at it still.
        file = tmp_path / f"log{number}.arrow"
        changed = bytearray(content)
        for _ in range(draws.choice((1, 3))):
            place = draws.randrange(len(changed) - 4)
            changed[place : place + 4] = draws.choice((b"\0" * 4, b"\xff" * 4, draws.randbytes(4)))
        file.write_bytes(changed)
        outcomes = set()
        for read in (lambda one: [read_interactions(one)], lambda one: read_parts(one, events=9)):
            try:
                outcomes.add(sum(map(len, read(file))))
            except DataError as error:
                outcomes.add("refused" if str(file) in str(error) else str(error))
        assert outcomes in ({60}, {"refused"})
        refused += "refused" in outcomes
    assert refused > 5
