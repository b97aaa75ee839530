"""Text with one record a line, divided at a separator: what csv and its like have in common."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import polars as pl

from nextitem.data.reading.flaws import Flawed, sound, with_flawed
from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.opening import MOST_BYTES, Stretch, raw_stretches
from nextitem.data.reading.quoted import quoted
from nextitem.errors import DataError

MOST_COLUMNS = 10_000
"""How many names a header may have."""

_RECORDS_AT_ONCE = 100_000
_HEADER_BYTES = 1 << 16  # are read for the first record, or as many more as it has


@dataclass(frozen=True)
class Divided:
    """A format of text whose lines are fields with a separator between them; blank lines are skipped."""

    is_text: ClassVar[bool] = True
    may_be_packed: ClassVar[bool] = True

    name: str
    endings: tuple[str, ...]
    separator: str
    header: tuple[str, ...] | None = None
    """What stands where, if no line of the file says so."""
    has_quotes: bool = False
    """As RFC 4180 has them: "a ""quoted"" field, with a comma"."""
    encoding: str = "utf-8"
    """Of the lines; another one is a superset of ASCII in which a byte is a character."""

    def lines(self, file: Path, at_once: int) -> Iterator[Stretch]:
        """The lines of a file, about `at_once` bytes at a time, as UTF-8.

        The five bytes that windows-1252 lacks stay as they are: no character of UTF-8 begins with one of them, so that
        their lines are found to be no text where those of other files are.
        """
        for stretch in raw_stretches(file, at_once):
            if self.encoding == "utf-8":
                yield stretch
                continue
            text = stretch.content.decode(self.encoding, "surrogateescape")
            yield replace(stretch, content=text.encode(errors="surrogateescape"))

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content | None:
        """The columns by the file's first record or, where the format lays them down, by the format.

        A `layout` that was asked for wins.
        """
        form = replace(self, separator=layout.separator or self.separator)
        own = None if layout.is_numbered or layout.has_header else self.header
        has_names = own is None and not layout.is_numbered and layout.has_header is not False
        first = _first(file, form, has_names=has_names)
        if first is None:
            return None
        header_row, header, rule = first[0], [name.strip() for name in first[1]], None
        if own is not None:
            header_row, header, rule = 0, list(own), form.separator.join(own)
        elif not has_names:
            header_row, header = 0, [str(number) for number in range(1, len(first[1]) + 1)]
        if len(header) > MOST_COLUMNS:
            raise DataError(
                f"{file}:{header_row}: the header has {len(header):,} columns, and at most {MOST_COLUMNS:,} are read; "
                f"keep those of user, item and time"
            )

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            fields, width = pl.col("fields"), pl.col("fields").list.len()
            wanted = {role: fields.list.get(place, null_on_oob=True) for role, place in places.items()}
            uneven = pl.when(width != len(header)).then(fields.list.join(form.separator))
            for frame in _records(file, form):
                flaws = [name for name in ("flaw", "told") if name in frame.collect_schema()]
                events = frame.filter(pl.col("row") > header_row)
                yield events.select("row", "fields", *flaws, width=width, uneven=uneven, **wanted)

        return Content(header, frames, rule, form.separator, is_headless=not header_row)


def _first(file: Path, form: Divided, *, has_names: bool) -> tuple[int, list[str]] | None:
    """The record that is first, and the line in which it begins; of events the first that can be divided.

    Raises DataError where it should hold names of columns and cannot be divided, or where none can.
    """
    flawed = None
    for row, fields, told in chain.from_iterable(map(_heads, _records(file, form, _HEADER_BYTES))):
        if told is None:
            return row, fields
        flawed = flawed or DataError(f"{file}:{row}{told}")
        if has_names:
            break
    if flawed is not None:
        raise flawed
    return None


def _heads(frame: pl.LazyFrame) -> Iterator[tuple[int, list[str], str | None]]:
    """The first records of a frame, and those that are flawed, in order."""
    known = frame.collect_schema()
    if "told" not in known:
        frame = frame.head(1).with_columns(told=pl.lit(None, dtype=pl.String))
    yield from frame.select("row", "fields", "told").sort("row").collect().iter_rows()


def _records(file: Path, form: Divided, at_once: int = MOST_BYTES) -> Iterator[pl.LazyFrame]:
    """Frames of `row` (the line in which a record begins, from 1) and `fields`; blank lines are skipped.

    Where there are flawed rows, at the end, a frame has their `flaw` and what is `told` of each too.
    """
    lines = form.lines(file, at_once)
    for stretch in lines:
        if form.has_quotes and b'"' in stretch.content:
            # A quoted field may hold separators and line breaks: the csv module, slower, is exact from here on.
            yield from _in_batches(quoted(file, chain([stretch], lines), form.separator, form.encoding))
            return
        yield _split(file, stretch, form)


def _split(file: Path, stretch: Stretch, form: Divided) -> pl.LazyFrame:
    """The records of lines without quotes; before its end a line may have carriage returns, as some tools leave two."""
    content, flawed = sound(file, stretch, form.encoding)
    # The library would unpack what begins like a compressed file. No such file begins with a blank line, and that one
    # is skipped with the others.
    lines = pl.scan_lines(b"\n" + content, row_index_name="row")
    if b"\r" in content:
        lines = lines.with_columns(pl.col("line").str.strip_chars_end("\r"))
    row = pl.col("row").cast(pl.Int64) + (stretch.row - 1)
    records = lines.filter(pl.col("line") != "").select(row=row, fields=pl.col("line").str.split(form.separator))
    return with_flawed(records, flawed)


def _in_batches(records: Iterator[tuple[int, list[str]] | Flawed]) -> Iterator[pl.LazyFrame]:
    while batch := list(islice(records, _RECORDS_AT_ONCE)):
        whole = [one for one in batch if not isinstance(one, Flawed)]
        # A column of lists built from Python's lists takes ten times as long as this.
        row = [begins for begins, fields in whole for _ in fields]
        field = [field for _, fields in whole for field in fields]
        cells = pl.LazyFrame({"row": row, "field": field}, {"row": pl.Int64, "field": pl.String})
        divided = cells.group_by("row", maintain_order=True).agg(fields="field")
        yield with_flawed(divided, [one for one in batch if isinstance(one, Flawed)])
