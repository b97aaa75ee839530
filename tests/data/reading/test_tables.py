"""A parquet file is read by its path as it is written, whole, and only once its sizes are known to be true."""

from pathlib import Path

import polars as pl
import pytest

from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.data.reading.parquet_sizes import MOST_FOOTER, read_footer
from nextitem.data.reading.tables import require_rows, scanned, table
from nextitem.errors import DataError

LOG = pl.DataFrame({"user": [1, 1, 2] * 40, "item": [5, 6, 5] * 40, "time": range(120)})


def written(file: Path, log: pl.DataFrame = LOG) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as sink:
        log.write_parquet(sink, row_group_size=50)
    return file


# paths


@pytest.mark.parametrize("name", ["exp [1]", "exp *", "exp ?", "exp {1,2}", "exp 1%20", "user=7", "~", "~root"])
def test_a_path_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    other = LOG.with_columns(pl.col("item") + 1000)
    written(tmp_path / "exp 1" / "log.parquet", other)
    written(tmp_path / "exp x" / "log.parquet", other)
    file = written(tmp_path / name / "log.parquet")
    assert table(file).equals(LOG)
    assert scanned(file).collect().equals(LOG)
    assert read_interactions(file).events.equals(LOG)
    monkeypatch.chdir(tmp_path)
    assert table(Path(name) / "log.parquet").equals(LOG)


def test_names_of_files_are_no_patterns_either(tmp_path: Path) -> None:
    written(tmp_path / "ab.parquet", LOG.with_columns(pl.col("item") + 1000))
    for name in ("a[b].parquet", "a*.parquet", "a?.parquet"):
        assert read_interactions(written(tmp_path / name)).events.equals(LOG)


# sizes


def test_rows_that_the_library_drops_are_missed(tmp_path: Path) -> None:
    file = written(tmp_path / "log.parquet")
    assert read_footer(file).rows == 120
    require_rows(file, 120, 120)
    with pytest.raises(
        DataError, match=r"states 120 rows, of which 50 could be read: it is damaged; write or download"
    ):
        require_rows(file, 50, 120)


@pytest.mark.parametrize("compression", ["zstd", "uncompressed", "snappy"])
def test_a_flipped_bit_never_loses_an_event_and_is_never_a_crash(tmp_path: Path, compression: str) -> None:
    file = tmp_path / "log.parquet"
    LOG.write_parquet(file, row_group_size=50, compression=compression)  # type: ignore[arg-type]
    whole = file.read_bytes()
    for place in range(0, len(whole) * 8, 97):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        found = []
        for read in (lambda: len(read_interactions(file)), lambda: sum(map(len, read_parts(file, events=40)))):
            try:
                found.append(read())
            except DataError:
                found.append(None)
        assert found in ([120, 120], [None, None])


@pytest.mark.parametrize("length", [0, 3, 8, 12, 200, -1])
def test_a_cut_file_is_refused(tmp_path: Path, length: int) -> None:
    file = written(tmp_path / "log.parquet")
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(DataError, match=r"log\.parquet is not a whole parquet file: it does not end like one; write"):
        read_interactions(file)


@pytest.mark.parametrize(
    ("length", "fact"),
    [
        (10_000, "its footer would have 10,000 bytes, and the file has 3,"),
        (MOST_FOOTER + 1, "its footer would have 16,777,217 bytes, and at most 16,777,216 are read"),
        (3, "its description "),
    ],
)
def test_a_footer_has_the_length_that_it_states(tmp_path: Path, length: int, fact: str) -> None:
    file = written(tmp_path / "log.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:-8] + length.to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match=f"is not a whole parquet file: {fact}"):
        read_interactions(file)


def test_row_groups_that_are_none_are_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "log.parquet")
    monkeypatch.setattr("nextitem.data.reading.thrift.Description.fields", lambda _: {3: 120, 4: [b"", b""]})
    with pytest.raises(DataError, match=f"{file} is not a whole parquet file"):
        read_footer(file)


def test_what_the_library_panics_on_is_an_error_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(frame: pl.LazyFrame) -> pl.DataFrame:
        raise pl.exceptions.PanicException("called `Result::unwrap()`\non an `Err` value" + "x" * 1000)

    file = written(tmp_path / "log.parquet")
    monkeypatch.setattr(pl.LazyFrame, "collect", panic)
    for read in (read_interactions, table):
        with pytest.raises(DataError) as caught:
            read(file)
        message = str(caught.value)
        assert message.startswith(f"{file} could not be read: called `Result::unwrap()` on an `Err` valuexxx")
        assert len(message) < 400


def test_lists_and_text_are_whole_as_well(tmp_path: Path) -> None:
    users = pl.DataFrame({"user": ["ann", "bob", "é"], "history": [[1, 2], [], [3]], "title": [None, "x" * 5000, ""]})
    assert table(written(tmp_path / "users.parquet", users)).equals(users)
    assert table(written(tmp_path / "none.parquet", users.clear())).equals(users.clear())
