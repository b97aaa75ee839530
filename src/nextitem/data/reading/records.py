"""A text file -> its records: rows of fields, each with the line it begins in. What a field means is read elsewhere."""

import csv
import gzip
import io
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, cast

import polars as pl

from nextitem.errors import DataError, StorageError

UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError, pl.exceptions.PolarsError)

_RECORDS_AT_ONCE = 100_000
_SIGNATURES = {
    b"\x1f\x8b": "gzip; name it .gz",
    b"PK\x03\x04": "zip or Excel; save it as csv",
    b"PAR1": "parquet; name it .parquet",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}


@dataclass(frozen=True)
class Format:
    """How a text file divides a line into fields."""

    separator: str
    header: tuple[str, ...] | None = None  # what stands where, if no line of the file says so
    has_quotes: bool = False  # as RFC 4180 has them: "a ""quoted"" field, with a comma"


FORMATS = {
    ".csv": Format(",", has_quotes=True),
    ".tsv": Format("\t"),
    ".inter": Format("\t"),
    ".txt": Format(" ", ("user", "item")),
    ".dat": Format("::", ("user", "item", "rating", "time")),
}


def first_record(file: Path, form: Format) -> tuple[int, list[str]] | None:
    """The line in which the first record ends, and its fields; None for a file without records."""
    numbered = _numbered(file, form)
    first = next(numbered, None)
    numbered.close()
    return None if first is None else first[1:]


def records(file: Path, form: Format) -> Iterator[pl.LazyFrame]:
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


def _numbered(file: Path, form: Format) -> Generator[tuple[int, int, list[str]], None, None]:
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


def opened(file: Path) -> BinaryIO:
    """The content of a file, as it is without gzip."""
    return cast(BinaryIO, gzip.open(file)) if _is_gzip(file) else file.open("rb")


def _is_gzip(file: Path) -> bool:
    return file.suffix.lower() == ".gz"


def explained(file: Path, error: BaseException) -> DataError | StorageError:
    """What one of the `UNREADABLE` errors says about a file: its place, the cause and the remedy."""
    if isinstance(error, OSError) and error.errno is not None:
        return StorageError(f"{file} could not be read: {error.strerror}; check the file's permissions and the disk")
    if _is_gzip(file) and isinstance(error, OSError | EOFError | zlib.error):
        return DataError(f"{file} is not a complete gzip file ({error}); copy or download it again")
    undecodable = None if file.suffix.lower() == ".parquet" else _undecodable(file)
    return undecodable or DataError(f"{file} could not be read: {error}; write or download the file again")


def _undecodable(file: Path) -> DataError | None:
    with opened(file) as content:
        for row, line in enumerate(content, 1):
            for signature, kind in _SIGNATURES.items():
                if row == 1 and line.startswith(signature):
                    return DataError(f"{file} is not text: it begins like {kind}")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                place = f"byte {error.start + 1} of the line (0x{line[error.start]:02x})"
                return DataError(f"{file}:{row}: {place} is not UTF-8; save the file as UTF-8")
    return None
