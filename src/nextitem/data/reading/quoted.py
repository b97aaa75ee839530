"""Records of lines with quotes: a field in quotes may hold what divides fields, and line breaks."""

import csv
import io
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from nextitem.data.reading.flaws import Flawed, carriage_return, flaw_of, is_text
from nextitem.data.reading.opening import MOST_BYTES, Stretch, foreign

_UNIT_SEPARATOR = "\x1f"  # of ASCII: it stands for a separator of several characters, since the module takes only one


class _TooLongError(Exception):
    """A record is longer than any may be."""


class _Lines:
    """The lines of a text, of which some may be put back."""

    def __init__(self, file: Path, stretches: Iterator[Stretch], separator: str) -> None:
        self.record: list[tuple[int, str]] = []
        """Those of the record that is being read, each with its row."""
        self.is_doubtful = False
        """Whether some are not UTF-8 or hold a NUL."""
        self.delimiter = separator if len(separator) == 1 else _UNIT_SEPARATOR
        self._file, self._stretches, self._separator = file, stretches, separator
        self._waiting: deque[tuple[int, str]] = deque()
        self._read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._waiting:
            self._take(next(self._stretches))
        row, line = self._waiting.popleft()
        self.record.append((row, line))
        self._read += len(line)
        if self._read > MOST_BYTES:
            raise _TooLongError
        return line.replace(self._separator, self.delimiter)

    def begin(self) -> None:
        """A record begins at the next line."""
        self.record, self._read = [], 0

    def begin_again(self) -> tuple[int, str]:
        """Put back all lines of the record but its first, which is returned."""
        first, *rest = self.record
        self._waiting.extendleft(reversed(rest))
        return first

    def _take(self, stretch: Stretch) -> None:
        if not is_text(stretch.content):
            if (error := foreign(self._file, stretch)) is not None:
                raise error
            self.is_doubtful = True
        text = stretch.content.decode(errors="surrogateescape")
        self._waiting.extend(enumerate(io.StringIO(text, newline="\n"), stretch.row))


def quoted(
    file: Path, stretches: Iterator[Stretch], separator: str, encoding: str = "utf-8"
) -> Iterator[tuple[int, list[str]] | Flawed]:
    """The records of lines with quotes that are not blank: the line in which each begins, and its fields.

    Where quotes do not match, the line in which such a record begins is flawed, and the next line begins one.
    """
    lines = _Lines(file, stretches, separator)
    # The module's own limit, which all of the process share, is below a long review; the lines have one of their own.
    csv.field_size_limit(max(csv.field_size_limit(), MOST_BYTES))
    reader = csv.reader(lines, delimiter=lines.delimiter, strict=True)
    while True:
        lines.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLongError) as error:
            yield _unmatched(*lines.begin_again(), error, encoding)
            continue
        if lines.is_doubtful and fields:
            content = "".join(line for _, line in lines.record).encode(errors="surrogateescape")
            if (flawed := flaw_of(lines.record[0][0], content, encoding)) is not None:
                yield flawed
                continue
        if fields:
            yield lines.record[0][0], fields


def _unmatched(row: int, line: str, error: Exception, encoding: str) -> Flawed:
    content = line.encode(errors="surrogateescape")
    text = line.rstrip("\r\n").encode(errors="surrogateescape").decode(errors="backslashreplace")
    if (flawed := flaw_of(row, content, encoding)) is not None:
        return flawed
    if "new-line" in str(error):
        return carriage_return(row, text)
    reason, remedy = "has quotes that do not match", "close every quote that opens a field"
    if isinstance(error, _TooLongError):
        return Flawed(row, text, reason, f"the record is longer than {MOST_BYTES:,} characters; {remedy}")
    return Flawed(row, text, reason, f"{error}; {remedy}, and write a quote inside a quoted field twice")
