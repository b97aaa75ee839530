"""Lines of a text that are none: with bytes that are not UTF-8, a NUL, or a carriage return inside."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextitem.data.reading.opening import NUL, Stretch, foreign

_CARRIAGE_RETURN_INSIDE = re.compile(rb"\r+[^\r\n]")
_SHOWN = 1_000  # bytes of such a line that are kept
_FRAME = pl.Schema({"row": pl.Int64(), "fields": pl.List(pl.String()), "flaw": pl.String(), "told": pl.String()})


@dataclass(frozen=True)
class Flawed:
    """A row that cannot be divided into fields."""

    row: int
    text: str
    """What stands there; bytes that are no text as `\\xe9`."""
    flaw: str
    """What is wrong with it, as of any other row with this flaw."""
    told: str
    """The same of this one, with the remedy."""
    column: str = ""
    """Where it is wrong, if it is so in one column."""

    @property
    def place_and_told(self) -> str:
        """What is told, behind the row."""
        return f":{self.column}: {self.told}" if self.column else f": {self.told}"


def with_flawed(records: pl.LazyFrame, flawed: Sequence[Flawed]) -> pl.LazyFrame:
    """Records, and behind them the rows that are none: `row`, `fields`, `flaw` and `told`."""
    if not flawed:
        return records
    rows = [(one.row, [one.text], f"{one.column} {one.flaw}".strip(), one.place_and_told) for one in flawed]
    return pl.concat([records, pl.LazyFrame(rows, _FRAME, orient="row")], how="diagonal")


def carriage_return(row: int, text: str) -> Flawed:
    """A row that has a carriage return before its end."""
    fact = "there is a carriage return inside the line"
    return Flawed(row, text, "has a carriage return inside", f"{fact}; end lines with \\n or \\r\\n")


def flaw_of(row: int, line: bytes, encoding: str = "utf-8") -> Flawed | None:
    """What is wrong with a line or the lines of a record, None where nothing is; `encoding` is that of the file."""
    text = line[:_SHOWN].rstrip(b"\r\n").decode(errors="backslashreplace").replace("\0", "\\x00")
    if b"\0" in line:
        return Flawed(row, text, "has a NUL byte", NUL)
    try:
        line.decode()
    except UnicodeDecodeError as error:
        place = error.start - line.rfind(b"\n", 0, error.start)
        fact = f"is not {encoding.upper()}"
        told = f"byte {place} of the line (0x{line[error.start]:02x}) {fact}; save the file as UTF-8"
        return Flawed(row, text, fact, told)
    return None


def sound(file: Path, stretch: Stretch, encoding: str = "utf-8") -> tuple[bytes, list[Flawed]]:
    """The lines of a stretch with those left blank that are no text, and these.

    Raises DataError where all of the file is of another kind.
    """
    content = stretch.content
    has_returns = b"\r" in content and _CARRIAGE_RETURN_INSIDE.search(content) is not None
    if not has_returns and is_text(content):
        return content, []
    if (error := foreign(file, stretch)) is not None:
        raise error
    lines, found = content.split(b"\n"), list[Flawed]()
    for number, line in enumerate(lines):
        row = stretch.row + number
        flawed = flaw_of(row, line, encoding)
        if flawed is None and _CARRIAGE_RETURN_INSIDE.search(line):
            flawed = carriage_return(row, line[:_SHOWN].decode(errors="ignore"))
        if flawed is not None:
            found.append(flawed)
            lines[number] = b""
    return b"\n".join(lines), found


def is_text(content: bytes) -> bool:
    """Whether bytes are UTF-8 without a NUL."""
    if b"\0" in content:
        return False
    try:
        return content.isascii() or bool(content.decode()) or not content
    except UnicodeDecodeError:
        return False
