"""That no row is lost where bad rows are skipped: each is an event that is used, or stands among the rejected ones."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from fuzz_corpus import ROWS

from nextitem.data.reading import opening, records
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions, read_parts, rows_of
from nextitem.data.reading.formats import json_lines
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import DataError

SKIP = Columns(on_bad_rows="skip")
_SMALL = 97  # bytes
_LINES_OF_JSON = (".jsonl", ".ndjson")


@contextmanager
def in_small_pieces() -> Iterator[None]:
    """Read text few bytes at a time, so that a piece ends everywhere."""
    whole = opening.raw_stretches
    for reader in (records, json_lines):
        reader.raw_stretches = lambda file, at_once=0: whole(file, _SMALL)
    try:
        yield
    finally:
        for reader in (records, json_lines):
            reader.raw_stretches = whole


def what_is_lost(path: Path, strict: pl.DataFrame | str, content: Callable[[], bytes], *, has_header: bool) -> str:
    """What does not hold of a file that is read with bad rows skipped; "" where all does.

    `strict` is what reading it without that gave, or said; `content` unpacks a text, and is None of a table.
    """
    rejected, in_parts = RejectedRows(), RejectedRows()
    try:
        events = read_interactions(path, SKIP, rejected=rejected).events
    except DataError as error:
        if not isinstance(strict, str):
            return f"skipping refuses what is read: {error}"
        return "" if str(path) in str(error) else f"the refusal names no file: {error}"
    if not isinstance(strict, str) and (len(rejected) or events.height != strict.height):
        return f"{len(rejected)} rows are left out of a file in which none is bad"
    used = rows_of(path, SKIP).to_list()
    with in_small_pieces():
        parts = [row for part in read_parts(path, SKIP, events=9, rejected=in_parts) for row in part.row]
    if parts != used or not in_parts.table.equals(rejected.table):
        return f"in parts {len(parts)} events and {len(in_parts)} rows left out, whole {len(used)} and {len(rejected)}"
    left_out = rejected.table["row"].to_list()
    if len(used) != events.height or len(left_out) != len(rejected) or len({*used, *left_out}) < len(used + left_out):
        return "a row is counted twice"
    if path.suffix in (".parquet", ".arrow"):
        lost = {*range(1, ROWS + 1)} - {*used, *left_out} if len(used) + len(left_out) != ROWS else set[int]()
    else:
        lost = _lost_lines(path, content(), {*used, *left_out}, has_header=has_header)
    return f"rows {sorted(lost)[:5]} are neither used nor left out" if lost else ""


def _lost_lines(path: Path, content: bytes, known: set[int], *, has_header: bool) -> set[int]:
    """Lines that are not blank, and neither known nor inside the quotes of the row before."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    is_json = any(ending in path.name for ending in _LINES_OF_JSON)
    there = [row for row, line in enumerate(lines, 1) if (line.strip() if is_json else line.strip(b"\r"))]
    begun = {*known, there[0]} if has_header else known
    lost = {row for row in there if row not in begun}
    if ".csv" not in path.name:
        return lost
    return {row for row in lost if not _is_inside(lines, max((one for one in begun if one < row), default=0), row)}


def _is_inside(lines: list[bytes], begins: int, row: int) -> bool:
    """Whether a line belongs to the record that begins in another one."""
    text = b"\n".join(lines[begins - 1 :]).decode("latin-1")
    reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    try:
        next(reader)
    except csv.Error:
        return False
    return begins + reader.line_num > row
