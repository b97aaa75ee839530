"""Text with one record a line, divided at a separator: what csv and its like have in common."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import polars as pl

from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.opening import MOST_BYTES, Stretch, stretches
from nextitem.errors import DataError

MOST_COLUMNS = 10_000
"""How many names a header may have."""

_RECORDS_AT_ONCE = 100_000
_HEADER_BYTES = 1 << 16  # are read for the first record, or as many more as it has
_CARRIAGE_RETURN_INSIDE = re.compile(rb"\r+[^\r\n]")


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

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content | None:
        """The columns by the file's first record or, where the format lays them down, by the format.

        A `layout` that was asked for wins.
        """
        form = replace(self, separator=layout.separator or self.separator)
        first = _first(file, form)
        if first is None:
            return None
        header_row, header, rule = first[0], [name.strip() for name in first[1]], None
        own = None if layout.is_numbered else self.header
        if own is not None and not layout.has_header:
            header_row, header, rule = 0, list(own), form.separator.join(own)
        elif layout.is_numbered or layout.has_header is False:
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
                yield frame.filter(pl.col("row") > header_row).select(
                    "row", "fields", width=width, uneven=uneven, **wanted
                )

        return Content(header, frames, rule, form.separator, is_headless=not header_row)


def _first(file: Path, form: Divided) -> tuple[int, list[str]] | None:
    """The record that is first, and the line in which it begins."""
    lines = stretches(file, _HEADER_BYTES)
    if form.has_quotes:
        return next(_quoted(file, lines, form), None)
    for stretch in lines:
        for record in _split(file, stretch, form).head(1).collect().iter_rows():
            return record
    return None


def _records(file: Path, form: Divided) -> Iterator[pl.LazyFrame]:
    """Frames of `row` (the line in which a record begins, from 1) and `fields`; blank lines are skipped."""
    lines = stretches(file)
    for stretch in lines:
        if form.has_quotes and b'"' in stretch.content:
            # A quoted field may hold separators and line breaks: the csv module, slower, is exact from here on.
            yield from _in_batches(_quoted(file, chain([stretch], lines), form))
            return
        yield _split(file, stretch, form)


def _split(file: Path, stretch: Stretch, form: Divided) -> pl.LazyFrame:
    """The records of lines without quotes; before its end a line may have carriage returns, as some tools leave two."""
    has_returns = b"\r" in stretch.content
    if has_returns and (found := _CARRIAGE_RETURN_INSIDE.search(stretch.content)):
        raise _carriage_return(file, stretch.row + stretch.content.count(b"\n", 0, found.start()))
    # The library would unpack what begins like a compressed file. No such file begins with a blank line, and that one
    # is skipped with the others.
    lines = pl.scan_lines(b"\n" + stretch.content, row_index_name="row")
    if has_returns:
        lines = lines.with_columns(pl.col("line").str.strip_chars_end("\r"))
    row = pl.col("row").cast(pl.Int64) + (stretch.row - 1)
    return lines.filter(pl.col("line") != "").select(row=row, fields=pl.col("line").str.split(form.separator))


def _in_batches(records: Iterator[tuple[int, list[str]]]) -> Iterator[pl.LazyFrame]:
    while batch := list(islice(records, _RECORDS_AT_ONCE)):
        # A column of lists built from Python's lists takes ten times as long as this.
        row = [begins for begins, fields in batch for _ in fields]
        field = [field for _, fields in batch for field in fields]
        cells = pl.LazyFrame({"row": row, "field": field}, {"row": pl.Int64, "field": pl.String})
        yield cells.group_by("row", maintain_order=True).agg(fields="field")


def _quoted(file: Path, lines: Iterator[Stretch], form: Divided) -> Iterator[tuple[int, list[str]]]:
    """The records of lines with quotes that are not blank: the line in which each begins, and its fields."""
    # The module divides at one character; an ASCII unit separator stands for what is longer.
    delimiter = form.separator if len(form.separator) == 1 else "\x1f"
    read = 0  # characters of the record that is being read

    def texts() -> Iterator[str]:
        nonlocal read
        for stretch in lines:
            for line in io.StringIO(stretch.content.decode(), newline="\n"):
                read += len(line)
                if read > MOST_BYTES:
                    raise DataError(
                        f"{file}:{begins}: the record is longer than {MOST_BYTES:,} characters; close every quote that "
                        f"opens a field"
                    )
                yield line.replace(form.separator, delimiter)

    first = next(lines, None)
    if first is None:
        return
    begins, lines = first.row, chain([first], lines)
    # The module's own limit, which all of the process share, is below a long review; `texts` has a limit of its own.
    csv.field_size_limit(max(csv.field_size_limit(), MOST_BYTES))
    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            if fields:
                yield begins, fields
            begins, read = first.row + reader.line_num, 0
    except csv.Error as error:
        if "new-line" in str(error):
            raise _carriage_return(file, begins) from error
        remedy = "close every quote that opens a field, and write a quote inside a quoted field twice"
        raise DataError(f"{file}:{begins}: {error}; {remedy}") from error


def _carriage_return(file: Path, row: int) -> DataError:
    return DataError(f"{file}:{row}: there is a carriage return inside the line; end lines with \\n or \\r\\n")
