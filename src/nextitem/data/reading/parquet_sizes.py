"""The sizes that a parquet file states, compared with the file before anything is decoded by them.

The library that decodes trusts them: of a damaged file it asks for any amount of memory, and the process ends. It also
drops what it cannot decode, so that the number of rows has to be compared afterwards. Source: `parquet.thrift` of
Apache Parquet 2.11, whose numbers of fields these are.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nextitem.data.reading.thrift import Description, Fields
from nextitem.errors import DataError
from nextitem.storage.opened import opened

MOST_FOOTER = 1 << 24
"""Bytes of the description of columns and row groups that are read."""

_MAGIC = b"PAR1"
_TAIL = 8  # bytes: the footer's length and the magic
_HEADER_BYTES = 1 << 10  # are read of a page, or as many more as its header has
_DATA_PAGES = {0: 5, 3: 8}  # kind of page -> field of its own header
_DICTIONARY_PAGE = {2: 7}


@dataclass(frozen=True)
class Footer:
    """What a parquet file says of itself at its end."""

    rows: int
    row_groups: list[Fields]
    start: int
    """Where it begins, and the pages of columns have ended."""


def _is_text(content: BinaryIO) -> bool:
    content.seek(0)
    beginning = content.read(_TAIL)
    return not beginning.startswith(_MAGIC[: len(beginning)]) and beginning.isascii() and b"\0" not in beginning


def read_footer(file: Path) -> Footer:
    """The footer of a parquet file. Raises DataError where its bytes are none, or its rows do not add up; OSError."""
    try:
        with opened(file) as content:
            size = content.seek(0, os.SEEK_END)
            content.seek(max(0, size - _TAIL))
            tail = content.read(_TAIL)
            if size > 0 and _is_text(content):
                raise ValueError("it does not begin like one, but like text; name it .csv, or whatever it is")
            if size < 2 * len(_MAGIC) + _TAIL or not tail.endswith(_MAGIC):
                raise ValueError("it does not end like one")
            length = int.from_bytes(tail[:4], "little")
            start = size - _TAIL - length
            if length > MOST_FOOTER:
                raise ValueError(f"its footer would have {length:,} bytes, and at most {MOST_FOOTER:,} are read")
            if start < len(_MAGIC):
                raise ValueError(f"its footer would have {length:,} bytes, and the file has {size:,}")
            content.seek(start)
            described = Description(content.read(length)).fields()
        groups = described.get(4, [])
        rows, of_groups = described[3], [group[3] for group in groups]
        if min(of_groups, default=0) < 0 or rows != sum(of_groups):
            raise ValueError(f"it states {rows:,} rows, and its parts have {sum(of_groups):,}")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _damaged(file, error) from error
    return Footer(rows, groups, start)


def check_pages(file: Path, footer: Footer, columns: Collection[str]) -> None:
    """Compare the pages of some columns with the file: where they lie, how long they are, how many values they hold.

    Of a page its header alone is read. Raises DataError where one is not what it must be, and OSError.
    """
    wanted = {name.encode() for name in columns}
    try:
        with opened(file) as content:
            for group in footer.row_groups:
                for chunk in group[1]:
                    if chunk[3][3][0] in wanted:
                        _check_chunk(content, chunk[3], footer.start)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _damaged(file, error) from error


def _check_chunk(content: BinaryIO, described: Fields, end: int) -> None:
    """The pages of a column in a row group; they end where all its values have been found."""
    values, data, dictionary = described[5], described[9], described.get(11)
    place = min(data, dictionary) if dictionary else data
    while values:
        page, place = _page(content, place, end)
        kind, compressed, whole = page[1], page[3], page[2]
        of_kind: Fields = page.get((_DATA_PAGES | _DICTIONARY_PAGE).get(kind, 0), {1: 0})
        stated = (compressed, whole, of_kind[1], of_kind.get(5, 0) if kind == 3 else 0)
        if min(stated) < 0 or place + compressed > end:
            raise ValueError(f"a page of {compressed:,} bytes with {of_kind[1]:,} values is not within the file")
        values -= of_kind[1] if kind in _DATA_PAGES else 0
        if values < 0:
            raise ValueError(f"a column's pages have {-values:,} values more than it states")
        place += compressed


def _page(content: BinaryIO, place: int, end: int) -> tuple[Fields, int]:
    """A page's header, and where its content begins."""
    if not len(_MAGIC) <= place < end:
        raise ValueError(f"a page would begin at byte {place:,}, outside of the columns")
    length = _HEADER_BYTES
    while True:
        content.seek(place)
        header = Description(content.read(min(length, end - place)))
        try:
            return header.fields(), place + header.place
        except ValueError:
            if length >= end - place or length > MOST_FOOTER:
                raise
            length *= 16  # the least and the greatest text of a page are in its header


def _damaged(file: Path, error: Exception) -> DataError:
    if isinstance(error, KeyError):
        fact = f"its description lacks the field {error}"
    else:  # of a TypeError and its like only Python's own words would be told
        fact = str(error) if isinstance(error, ValueError) else "its description has fields of another kind"
    return DataError(f"{file} is not a whole parquet file: {fact}; write or download the file again")
