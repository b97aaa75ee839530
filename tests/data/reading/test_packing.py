"""Packed files are read as what they hold, whole or not at all, and never without measure."""

import gzip
import io
import re
import time
from pathlib import Path

import pytest
import zstandard

from nextitem.data.reading import packing as packing_of_files
from nextitem.data.reading.files import read_interactions, read_parts
from nextitem.data.reading.opening import stretches, unpacked
from nextitem.data.reading.packing import PACKINGS, ExpansionError
from nextitem.errors import DataError
from worlds.event_files import CSV, EVENTS, Write, refusal

PACK = {".gz": gzip.compress, ".zst": zstandard.compress}
SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00notes"
every_packing = pytest.mark.parametrize("packing", PACKINGS)


@every_packing
def test_streams_behind_one_another_are_one_text(tmp_path: Path, packing: str) -> None:
    file = tmp_path / f"log.csv{packing}"
    file.write_bytes(b"".join(PACK[packing](CSV[at : at + 7].encode()) for at in range(0, len(CSV), 7)))
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS


@every_packing
@pytest.mark.parametrize("padding", [1, 100_000])
def test_zeros_behind_the_last_stream_are_padding(tmp_path: Path, packing: str, padding: int) -> None:
    file = tmp_path / f"log.csv{packing}"
    file.write_bytes(PACK[packing](CSV.encode()) + b"\0" * padding)
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS


def test_frames_that_a_reader_has_to_skip_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.zst"
    file.write_bytes(SKIPPABLE + zstandard.compress(CSV.encode()) + SKIPPABLE)
    assert read_interactions(file).events.to_dict(as_series=False) == EVENTS


@every_packing
@pytest.mark.parametrize("harm", ["cut", "more", "none", "flipped"])
def test_what_is_no_whole_stream_is_refused(tmp_path: Path, packing: str, harm: str) -> None:
    whole = PACK[packing]((CSV + "".join(f"u{n},i{n * n % 97},{n}\n" for n in range(2000))).encode())
    if packing == ".zst":  # by itself the format has no checksum
        whole = zstandard.ZstdCompressor(write_checksum=True).compress(CSV.encode())
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    content = {"cut": whole[:-3], "more": whole + b"more", "none": b"no stream", "flipped": bytes(flipped)}[harm]
    file = tmp_path / f"log.csv{packing}"
    file.write_bytes(content)
    told = f"{file} is not a complete {PACKINGS[packing].name} file ("
    if harm == "more":
        told = f"{file} has bytes behind the end of what {PACKINGS[packing].name} packed, and these are no more of it; "
    assert refusal(file).startswith(told)
    with pytest.raises(DataError, match=r"(;|or) copy or download it again") as caught:
        list(read_parts(file))
    assert str(caught.value).startswith(told)


@every_packing
def test_every_cut_is_noticed(tmp_path: Path, packing: str) -> None:
    whole, file = PACK[packing](CSV.encode()), tmp_path / f"log.csv{packing}"
    for length in range(1, len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match="is not a complete"):
            read_interactions(file)


@every_packing
def test_content_without_measure_is_refused(tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_of_files, "ALWAYS_UNPACKED", 1 << 20)
    file = tmp_path / f"log.csv{packing}"
    file.write_bytes(PACK[packing](b"user,item\n" + b"\n" * (1 << 22)))
    assert re.fullmatch(
        rf"{re.escape(str(file))} unpacks without measure: [\d,]+ bytes come out of its first {file.stat().st_size:,}: "
        rf"more than 100 times as many, and more than 1,048,576; unpack it yourself if you trust it",
        refusal(file),
    )
    small = tmp_path / f"small.csv{packing}"
    small.write_bytes(PACK[packing](b"user,item\nann,x\n" + b"\n" * (1 << 19)))
    assert len(read_interactions(small)) == 1


@every_packing
def test_a_bomb_ends_by_what_was_read_of_it_however_large_it_is(tmp_path: Path, packing: str) -> None:
    part = PACK[packing](b"user,item\n" + b"ann,x\n" * (1 << 22))  # 25 MB
    file = tmp_path / f"log.csv{packing}"
    file.write_bytes(part * 8 + bytes(1 << 22))  # the padding makes it large beside what has come out of it
    began = time.process_time()
    with (
        unpacked(file) as content,
        pytest.raises(ExpansionError, match="more than 100 times as many, and more than 134"),
    ):
        content.read()
    assert time.process_time() - began < 2


def test_a_frame_is_unpacked_a_little_at_a_time() -> None:
    bomb = io.BytesIO(zstandard.compress(b"x" * (1 << 28)))
    began = time.process_time()
    assert PACKINGS[".zst"].unpack(bomb).read(1 << 20) == b"x" * (1 << 20)
    assert bomb.tell() <= 1 << 10
    assert time.process_time() - began < 1


def test_a_frame_that_would_need_much_memory_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    wide = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    file = tmp_path / "log.csv.zst"
    file.write_bytes(wide.compress(CSV.encode()) + wide.flush())
    assert refusal(file).startswith(f"{file} is not a complete Zstandard file (")


def test_a_packed_file_without_its_ending_is_recognised(written: Write) -> None:
    for packing, name in ((".gz", "gzip; name it .gz"), (".zst", "Zstandard; name it .zst")):
        file = written("log.csv", PACK[packing](CSV.encode()))
        assert refusal(file) == f"{file} is not text: it begins like {name}"


@every_packing
def test_stretches_of_packed_text_know_their_rows(written: Write, packing: str) -> None:
    found = list(stretches(written(f"log.csv{packing}", CSV), 7))
    assert b"".join(one.content for one in found) == CSV.encode()
    assert [one.row for one in found] == [1, 2, 3, 4]
