"""A text is read in stretches of whole lines, none of which is longer than the limit, and what is no text is named."""

import errno
import gzip
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextitem.data.reading import opening
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.data.reading.opening import MOST_BYTES, stretches
from nextitem.errors import DataError, StorageError
from worlds.event_files import CSV, EVENTS, Write, refusal

MEGABYTE = b"x" * (1 << 20)


@pytest.mark.parametrize("at_once", [1, 2, 7, 64, MOST_BYTES])
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_stretches_are_the_file_whatever_their_length(written: Write, at_once: int, end: str) -> None:
    content = f"user,item\n\nann,x\n{'b' * 30},y{end}".encode()
    found = list(stretches(written("log.csv", content), at_once))
    assert b"".join(stretch.content for stretch in found) == content
    for stretch in found:
        begin = sum(len(one.content) for one in found if one.row < stretch.row)
        assert stretch.row == 1 + content.count(b"\n", 0, begin)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.txt", "log.inter"])
def test_a_mark_of_the_byte_order_is_no_part_of_the_first_name(written: Write, name: str) -> None:
    assert next(stretches(written(name, b"\xef\xbb\xbfuser")), None) == opening.Stretch(1, b"user")


# padding


@pytest.mark.parametrize("padding", [1, 512, 100_000])
@pytest.mark.parametrize("name", ["log.csv.gz", "log.tsv.gz"])
def test_zeros_after_a_gzip_stream_are_its_padding(tmp_path: Path, name: str, padding: int) -> None:
    text = CSV if ".csv" in name else CSV.replace(",", "\t")
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) + b"\0" * padding)
    assert read_interactions(tmp_path / name).events.to_dict(as_series=False) == EVENTS


def test_gzip_streams_behind_one_another_are_one_text(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(CSV[:20].encode()) + gzip.compress(CSV[20:].encode()))
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS


def test_other_bytes_after_a_gzip_stream_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(CSV.encode()) + b"more")
    assert refusal(file).startswith(
        f"{file} has bytes behind the end of what gzip packed, and these are no more of it; "
    )


def test_a_stream_that_gives_no_text_before_it_ends_too_early_is_still_no_whole_stream(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    stream = gzip.compress(CSV.encode() + b"caf\xe9,x,3\n")
    file.write_bytes(stream[:-6])
    for read in (read_interactions, lambda file: list(read_parts(file))):
        with pytest.raises(DataError, match=r"is not a complete gzip file \(Compressed file ended before"):
            read(file)
    file.write_bytes(stream)
    assert f"{file}:5: byte 4 of the line (0xe9) is not UTF-8" in refusal(file)


# bytes that are no text


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.txt", "log.dat"])
def test_a_nul_is_refused_with_its_row(written: Write, name: str) -> None:
    separator = {".txt": " ", ".dat": "::"}.get(Path(name).suffix, ",")
    rows = [
        separator.join(("user", "item", "5", "time" if n == 0 else str(n))[: 2 if separator == " " else 4])
        for n in range(3)
    ]
    damaged = separator.join(["al" + "\0" * 512 + "ice", "x", "5", "30"][: 2 if separator == " " else 4])
    file = written(name, "\n".join([*rows, "", damaged, rows[-1]]))
    assert refusal(file).startswith(
        f"{file}:5: there is a NUL byte in the line, as where a file was not written to its "
    )


def test_zeros_where_lines_should_follow_are_refused_with_their_row(written: Write) -> None:
    file = written("log.csv", CSV.encode() + b"\0" * 4096)
    assert f"{file}:5: there is a NUL byte" in refusal(file)


# limits


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.txt.gz", "log.dat"])
def test_a_line_beyond_the_limit_is_refused_with_its_row_in_a_moment(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    open_file = gzip.open if name.endswith(".gz") else io.FileIO
    with open_file(file, "wb") as sink:  # type: ignore[operator]
        sink.write(b"user,item\nann,")
        for _ in range(100):
            sink.write(MEGABYTE)
    began = time.process_time()
    assert refusal(file) == f"{file}:2: the line is longer than 16,777,216 bytes; end every event with a line break"
    assert time.process_time() - began < 5


def test_a_file_of_another_kind_without_line_ends_is_still_recognised(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(b"PAR1" + MEGABYTE * 20)
    assert refusal(file) == f"{file} is not text: it begins like parquet; name it .parquet"


def test_a_field_in_quotes_may_be_as_long_as_a_line(written: Write) -> None:
    review = "“well, …”\n" * 14_000
    file = written("log.csv", f'user,item,review,time\nann,x,"{review}",10\nann,y,,20\nbob,x,short,15\n')
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS
    wide = written("wide.csv", f'user,item,review,time\nann,x,{"w" * 140_000},10\nann,y,"",20\nbob,x,short,15\n')
    assert read_interactions(wide).events.to_dict(as_series=False) == EVENTS


def test_a_quote_that_nobody_closes_is_given_up_at_the_limit(written: Write) -> None:
    file = written("log.csv", 'user,item\nann,x\nann,"y\n' + "bob,x and a few more characters\n" * 600_000)
    assert refusal(file) == (
        f"{file}:3: the record is longer than 16,777,216 characters; close every quote that opens a field"
    )


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t"), (".inter.gz", "\t")])
def test_a_header_of_millions_of_columns_is_refused(written: Write, ending: str, separator: str) -> None:
    few = written(
        f"few{ending}",
        separator.join(["user", "item", *map(str, range(9_998))]) + f"\n1{separator}2" + separator * 9_998,
    )
    assert len(read_interactions(few)) == 1
    many = written(f"many{ending}", separator.join(["user", "item", *map(str, range(9_999))]) + "\n")
    assert refusal(many) == (
        f"{many}:1: the header has 10,001 columns, and at most 10,000 are read; keep those of user, item and time"
    )
    most = written(f"most{ending}", f"user{separator}item" + separator * 50_000_000)
    assert refusal(most).startswith(f"{most}:1: the line is longer than 16,777,216 bytes")


# a disk that fails


class Failing(io.RawIOBase):
    """A file whose second block cannot be read."""

    def __init__(self) -> None:
        self.blocks = iter([CSV.encode()])

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        for block in self.blocks:
            target[: len(block)] = block
            return len(block)
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("read", [read_interactions, lambda file: list(read_parts(file))])
def test_what_the_system_refuses_while_lines_are_read_names_the_file(
    written: Write, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    file = written("log.csv", CSV)

    def fail(file: Path) -> Iterator[bytes]:
        return io.BufferedReader(Failing())  # type: ignore[return-value]

    monkeypatch.setattr(opening, "opened", fail)
    with pytest.raises(StorageError) as caught:
        read(file)  # type: ignore[operator]
    assert (
        str(caught.value) == f"{file} could not be read: Input/output error; check the file's permissions and the disk"
    )
    assert not isinstance(caught.value, DataError)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_what_a_file_was_exchanged_for_is_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name} is a named pipe, not a regular file; write its content into a file"):
        next(stretches(tmp_path / name))
