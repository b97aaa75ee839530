"""A file as it lies on disk: opened, packed or not, its lines, and what is to be said where that fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from nextitem.data.reading.packing import BROKEN, PACKINGS, fault, measured, packing_of
from nextitem.errors import DataError, StorageError
from nextitem.storage.opened import opened

# A library that panics raises what is no Exception, so it is named here and caught nowhere else.
UNREADABLE = (
    OSError,
    *BROKEN,
    UnicodeDecodeError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
MOST_BYTES = 1 << 24
"""How long a line may be. A file without line ends would otherwise be asked into memory whole."""

NUL = "there is a NUL byte in the line, as where a file was not written to its end; drop the line, or write or "
NUL += "download the file again"
_LONGEST_REASON = 200  # characters
_LOOKED_AT = 1 << 10  # bytes, for zeros at every other place
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SIGNATURES = {
    b"\x1f\x8b": "gzip; name it .gz",
    b"\x28\xb5\x2f\xfd": "Zstandard; name it .zst",
    b"PK\x03\x04": "zip or Excel; save it as csv",
    b"PAR1": "parquet; name it .parquet",
    b"ARROW1": "an Arrow file; name it .arrow",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}


@dataclass(frozen=True)
class Stretch:
    """Whole lines of a text."""

    row: int
    """Which line of the file is the first of them, from 1."""
    content: bytes


@contextmanager
def unpacked(file: Path) -> Iterator[BinaryIO]:
    """The content of a regular file, unpacked. Raises DataError for what is none, and what is `UNREADABLE`."""
    try:
        content = opened(file)
    except ValueError as error:
        raise DataError(f"{error}; write its content into a file") from error
    with content:
        packing = packing_of(file)
        yield content if packing is None else measured(content, PACKINGS[packing].unpack(content))


def stretches(file: Path, at_once: int = MOST_BYTES) -> Iterator[Stretch]:
    """The `raw_stretches` of a text. Raises DataError for a NUL too, with its row."""
    for stretch in raw_stretches(file, at_once):
        if (place := stretch.content.find(b"\0")) >= 0:
            row = stretch.row + stretch.content.count(b"\n", 0, place)
            raise foreign(file, stretch) or DataError(f"{file}:{row}: {NUL}")
        yield stretch


def raw_stretches(file: Path, at_once: int = MOST_BYTES) -> Iterator[Stretch]:
    """The lines of a file in their order, about `at_once` bytes at a time, without a mark of the byte order.

    Read by Python, and not by the library that divides lines: so a failing disk is told with its own words, zeros after
    a packed stream are its padding, and no line is longer than `MOST_BYTES`. Raises DataError for one that is, with its
    row, and for packed content without measure; and what is `UNREADABLE`. Lines may hold anything: bytes that are no
    text, and NULs.
    """
    row, rest = 1, b""
    with unpacked(file) as content:
        while block := content.read(min(at_once, MOST_BYTES)):
            first = block.find(b"\n")
            if len(rest) + (len(block) if first < 0 else first) > MOST_BYTES:
                raise foreign(file, Stretch(row, rest)) or DataError(
                    f"{file}:{row}: the line is longer than {MOST_BYTES:,} bytes; end every event with a line break"
                )
            end = block.rfind(b"\n") + 1
            if end:
                yield _unmarked(row, rest + block[:end])
                row, rest = row + block.count(b"\n"), block[end:]
            else:
                rest += block
    if rest:
        yield _unmarked(row, rest)


def is_cut_off_at(file: Path, row: int) -> bool:
    """Whether a line is the last one of a text and has no line break. Raises as `raw_stretches`."""
    last_row, is_ended = 0, True
    for stretch in raw_stretches(file):
        last_row, is_ended = stretch.row + stretch.content.count(b"\n"), stretch.content.endswith(b"\n")
    return last_row == row and not is_ended


def foreign(file: Path, stretch: Stretch) -> DataError | None:
    """What to say where the file's first bytes are those of another kind of file; None where they are not."""
    if stretch.row != 1:
        return None
    for signature, kind in _SIGNATURES.items():
        if stretch.content.startswith(signature):
            return DataError(f"{file} is not text: it begins like {kind}")
    beginning = stretch.content[:_LOOKED_AT]
    fewer, more = sorted(beginning[start::2].count(0) for start in (0, 1))
    if more > len(beginning) // 3 and fewer * 20 < more:
        return DataError(f"{file} is not text: it looks like UTF-16 without its mark; save it as UTF-8")
    return None


def explained(file: Path, error: BaseException, *, is_text: bool = True) -> DataError | StorageError:
    """What one of the `UNREADABLE` errors says about a file: its place, the cause and the remedy."""
    if isinstance(error, OSError) and error.errno is not None:
        return StorageError(f"{file} could not be read: {error.strerror}; check the file's permissions and the disk")
    if packing_of(file) and isinstance(error, (OSError, *BROKEN)):
        return DataError(f"{file} {fault(file, error)}")
    try:
        undecodable = _undecodable(file) if is_text else None
    except UNREADABLE as further:  # a damaged stream gives what is no text first, and then contradicts its checksum
        return explained(file, further, is_text=False)
    said = " ".join(str(error).split())[:_LONGEST_REASON]  # a library may print what it has read so far
    return undecodable or DataError(f"{file} could not be read: {said}; write or download the file again")


def _unmarked(row: int, content: bytes) -> Stretch:
    return Stretch(row, content.removeprefix(_BYTE_ORDER_MARK) if row == 1 else content)


def _undecodable(file: Path) -> DataError | None:
    for stretch in stretches(file):
        try:
            stretch.content.decode()
        except UnicodeDecodeError as error:
            row = stretch.row + stretch.content.count(b"\n", 0, error.start)
            place = error.start - stretch.content.rfind(b"\n", 0, error.start)
            return foreign(file, stretch) or DataError(
                f"{file}:{row}: byte {place} of the line (0x{stretch.content[error.start]:02x}) is not UTF-8; "
                f"save the file as UTF-8"
            )
    return None
