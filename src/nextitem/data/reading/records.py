"""Text with one record a line, divided at a separator: what csv and its like have in common."""

import csv
import io
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl

from nextitem.data.reading.format import Content
from nextitem.data.reading.opening import opened
from nextitem.errors import DataError

_RECORDS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Divided:
    """A format of text whose lines are fields with a separator between them; blank lines are skipped."""

    is_text: ClassVar[bool] = True

    endings: tuple[str, ...]
    separator: str
    header: tuple[str, ...] | None = None
    """What stands where, if no line of the file says so."""
    has_quotes: bool = False
    """As RFC 4180 has them: "a ""quoted"" field, with a comma"."""

    def content(self, file: Path) -> Content | None:
        """The columns by the file's first record or, where the format lays them down, by the format."""
        numbered = _numbered(file, self)
        first = next(numbered, None)
        numbered.close()
        if first is None:
            return None
        if self.header is None:
            header, header_row, layout = [name.strip() for name in first[2]], first[1], None
        else:
            header, header_row, layout = list(self.header), 0, self.separator.join(self.header)

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            fields, width = pl.col("fields"), pl.col("fields").list.len()
            wanted = {role: fields.list.get(place, null_on_oob=True) for role, place in places.items()}
            uneven = pl.when(width != len(header)).then(fields.list.join(self.separator))
            for frame in _records(file, self):
                yield frame.filter(pl.col("row") > header_row).select("row", width=width, uneven=uneven, **wanted)

        return Content(header, frames, layout, self.separator)


def _records(file: Path, form: Divided) -> Iterator[pl.LazyFrame]:
    """Frames of `row` (the line in which a record begins, from 1) and `fields`; blank lines are skipped."""
    scan = pl.scan_lines(file, row_index_name="row", row_index_offset=1, glob=False)
    start = pl.when(pl.col("row") == 1).then(pl.lit("\ufeff")).otherwise(pl.lit(""))
    lines = scan.with_columns(pl.col("line").str.strip_prefix(start)).filter(pl.col("line") != "")
    needs_care = pl.col("line").str.contains('["\r]' if form.has_quotes else "\r").any()
    if not lines.select(needs_care).collect(engine="streaming").item():
        yield lines.select("row", fields=pl.col("line").str.split(form.separator))
        return
    # A quoted field may hold separators and line breaks, and a line may end in \r\r\n: the csv module, slower, is exact
    # there and knows the row that fails.
    numbered = _numbered(file, form)
    while batch := list(islice(numbered, _RECORDS_AT_ONCE)):
        # A column of lists built from Python's lists takes ten times as long as this.
        row = [begins for begins, _, fields in batch for _ in fields]
        field = [field for _, _, fields in batch for field in fields]
        cells = pl.LazyFrame({"row": row, "field": field}, {"row": pl.get_index_type(), "field": pl.String})
        yield cells.group_by("row", maintain_order=True).agg(fields="field")


def _numbered(file: Path, form: Divided) -> Generator[tuple[int, int, list[str]], None, None]:
    """The records that are not blank: the lines in which each begins and ends, and its fields."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if form.has_quotes else csv.QUOTE_NONE
    with opened(file) as content, io.TextIOWrapper(content, "utf-8-sig", newline="\n") as lines:
        # The module divides at one character; an ASCII unit separator stands for what is longer.
        is_long = len(form.separator) > 1
        divided = (line.replace(form.separator, "\x1f") for line in lines) if is_long else lines
        delimiter = "\x1f" if is_long else form.separator
        reader = csv.reader(divided, delimiter=delimiter, quoting=quoting, strict=True)
        begins = 1
        try:
            for fields in reader:
                if fields:
                    yield begins, reader.line_num, fields
                begins = reader.line_num + 1
        except csv.Error as error:
            problem = f"{error}; close every quote that opens a field, and write a quote inside a quoted field twice"
            if "new-line" in str(error):
                problem = "there is a carriage return inside the line; end lines with \\n or \\r\\n"
            raise DataError(f"{file}:{begins}: {problem}") from error
