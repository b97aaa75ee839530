"""What an Arrow file states of itself, compared with the file before it is decoded, and parts of it by themselves.

The library that decodes drops what it cannot read of a damaged file, so that the number of rows has to be compared
afterwards. It maps files as well, and one that is cut short while it is mapped ends the process by a signal: so it is
given bytes that were read. Sources: `File.fbs` and `Message.fbs` of Apache Arrow's columnar format 1.5, whose numbers
of fields these are, and the description of FlatBuffers' binary format.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nextitem.errors import DataError
from nextitem.storage.opened import opened

MOST_DESCRIPTION = 1 << 24
"""Bytes of the description of columns and batches, and of that of a batch, that are read."""

_MAGIC, _CONTINUED = b"ARROW1", 0xFFFFFFFF
_OTHERS = {
    b"\xff\xff\xff\xff": "an Arrow stream, which has to be read to its end; write it as an Arrow file",
    b"FEA1": "of Feather's first version; write it in the second one",
}
_RECORD_BATCH = 3  # among the kinds of messages
_DICTIONARIES, _BATCHES = 2, 3  # fields of the footer
_BLOCK = "<qi4xq"
_PADDING = 128  # bytes at most between batches, and between the last one and the footer
_TAIL = 4 + len(_MAGIC)


@dataclass(frozen=True)
class _Table:
    """A table of a FlatBuffer: its fields lie where its own list of offsets says."""

    content: bytes
    place: int

    @classmethod
    def root(cls, content: bytes) -> "_Table":
        return cls(content, _number(content, "<I", 0))

    def field(self, number: int) -> int:
        """Where a field begins, 0 where it was left out."""
        offsets = self.place - _number(self.content, "<i", self.place)
        there = 4 + 2 * number < _number(self.content, "<H", offsets)
        found = _number(self.content, "<H", offsets + 4 + 2 * number) if there else 0
        return self.place + found if found else 0

    def number(self, number: int, kind: str) -> int:
        return _number(self.content, kind, self.field(number)) if self.field(number) else 0

    def table(self, number: int) -> "_Table":
        if not self.field(number):
            raise ValueError(f"its description lacks the field {number}")
        return _Table(self.content, self.field(number) + self.number(number, "<I"))

    def list_at(self, number: int) -> int:
        """Where a list begins, with its length; 0 where it was left out."""
        return self.field(number) + self.number(number, "<I") if self.field(number) else 0

    def structs(self, number: int, kind: str) -> Iterator[tuple[int, ...]]:
        """The elements of a list of structs."""
        if not self.field(number):
            return
        start = self.list_at(number)
        count, size = _number(self.content, "<I", start), struct.calcsize(kind)
        if count * size > len(self.content):
            raise ValueError("its description ends too early")
        for place in range(start + 4, start + 4 + count * size, size):
            yield _numbers(self.content, kind, place)


@dataclass(frozen=True)
class ArrowParts:
    """Where the parts of an Arrow file lie: of each dictionary and batch (place, bytes of description, of content)."""

    rows: int
    footer: bytes
    dictionaries: tuple[tuple[int, ...], ...]
    batches: tuple[tuple[int, ...], ...]

    def alone(self, content: BinaryIO, start: int, stop: int) -> bytes:
        """A file of these batches alone. Raises ValueError where the content ends before them."""
        footer, parts, place = bytearray(self.footer), [_MAGIC, bytes(2)], 8
        dictionaries = self.dictionaries if stop > start else ()
        for field, blocks in ((_DICTIONARIES, dictionaries), (_BATCHES, self.batches[start:stop])):
            at = _Table.root(self.footer).list_at(field)
            if at:
                footer[at : at + 4] = struct.pack("<I", len(blocks))
            for number, (offset, described, body) in enumerate(blocks):
                parts.append(_read(content, offset, described + body))
                struct.pack_into(_BLOCK, footer, at + 4 + number * struct.calcsize(_BLOCK), place, described, body)
                parts.append(bytes(-(described + body) % 8))
                place += sum(map(len, parts[-2:]))
        return b"".join([*parts, footer, struct.pack("<I", len(footer)), _MAGIC])


def stated_rows(file: Path) -> int:
    """How many rows an Arrow file says it has. Raises DataError for other files and damaged ones, and OSError."""
    return parts_of(file).rows


def parts_of(file: Path) -> ArrowParts:
    """Where the parts of an Arrow file lie. Raises DataError for other files and damaged ones, and OSError."""
    with opened(file) as content:
        beginning = content.read(len(_MAGIC))
        for signature, fact in _OTHERS.items():
            if beginning.startswith(signature):
                raise DataError(f"{file} is {fact}")
        with whole(file):
            return _parts(content, beginning)


@contextmanager
def whole(file: Path) -> Iterator[None]:
    """Raise DataError for a ValueError in the block, which says why a file is none of this format."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"{file} is not a whole Arrow file: {error}; write or download it again") from error


def _parts(content: BinaryIO, beginning: bytes) -> ArrowParts:
    size = content.seek(0, os.SEEK_END)
    if beginning != _MAGIC:
        raise ValueError("it does not begin like one")
    tail = _read(content, max(0, size - _TAIL), _TAIL)
    if not tail.endswith(_MAGIC):
        raise ValueError("it does not end like one")
    length = int.from_bytes(tail[:4], "little")
    start = size - _TAIL - length
    if length > MOST_DESCRIPTION or start < len(_MAGIC):
        raise ValueError(f"its footer would have {length:,} bytes")
    written = _read(content, start, length)
    footer = _Table.root(written)
    dictionaries, batches = (tuple(footer.structs(field, _BLOCK)) for field in (_DICTIONARIES, _BATCHES))
    _check_places([*dictionaries, *batches], start)
    rows = sum(_rows_of_batch(content, offset, described) for offset, described, _ in batches)
    return ArrowParts(rows, written, dictionaries, batches)


def _check_places(blocks: list[tuple[int, ...]], end: int) -> None:
    """Raise ValueError unless batches lie behind one another, and the last one ends where the footer begins."""
    place = None
    for offset, described, body in sorted(blocks):
        if min(offset, described, body) < 0 or (place is not None and not place <= offset <= place + _PADDING):
            raise ValueError(f"a batch would begin at byte {offset:,}")
        place = offset + described + body
    if place is not None and not place <= end <= place + _PADDING:
        raise ValueError(f"its batches end at byte {place:,}, and its footer begins at {end:,}")


def _rows_of_batch(content: BinaryIO, offset: int, described: int) -> int:
    if described > MOST_DESCRIPTION:
        raise ValueError(f"the description of a batch would have {described:,} bytes")
    message = _read(content, offset, described)
    is_continued = _number(message, "<I", 0) == _CONTINUED  # as of format 0.15
    batch = _Table.root(message[8 if is_continued else 4 :])
    if batch.number(1, "<B") != _RECORD_BATCH:
        raise ValueError("a batch has no rows")
    rows = batch.table(2).number(0, "<q")
    of_first_column = next(batch.table(2).structs(1, "<qq"), (rows, 0))[0]
    if rows < 0 or of_first_column != rows:
        raise ValueError(f"a batch states {rows:,} rows, and its first column {of_first_column:,}")
    return rows


def _read(content: BinaryIO, place: int, length: int) -> bytes:
    content.seek(place)
    found = content.read(length)
    if len(found) < length:
        raise ValueError("it ends too early")
    return found


def _numbers(content: bytes, kind: str, place: int) -> tuple[int, ...]:
    if not 0 <= place <= len(content) - struct.calcsize(kind):
        raise ValueError("its description points outside of itself")
    return struct.unpack_from(kind, content, place)


def _number(content: bytes, kind: str, place: int) -> int:
    return _numbers(content, kind, place)[0]
