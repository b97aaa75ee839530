"""The seam between a file and its events: what a format of files has to say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl


@dataclass(frozen=True)
class Layout:
    """How a text is laid out, where somebody said so; None leaves it to the format."""

    separator: str | None = None
    """What divides a line into fields."""
    has_header: bool | None = None
    """Whether the first line names the columns."""
    is_numbered: bool = False
    """Whether columns are called 1, 2, 3, … unless the first line names them."""


AS_THE_FORMAT = Layout()


@dataclass(frozen=True)
class Content:
    """A file with its first record read: what its columns are called, and the way to the rest."""

    header: Sequence[str]
    """Names of the columns, as the file has them or as its format lays down."""
    frames: Callable[[Mapping[str, int]], Iterator[pl.LazyFrame]]
    """Role -> place in the header, to frames of `row` (line or row of the file, from 1) and a column of each role.

    Where rows are there that are no records, a frame also has `flaw` (what is wrong with the row, null of all others)
    and `told` (the same of this very row, with the remedy); `fields` are what stands in a row, where it is text."""
    layout: str | None = None
    """What a line holds where the file itself names no columns: then names of columns cannot be chosen."""
    separator: str | None = None
    """What divides a line into fields: then frames also have `width`, the number of fields, and `uneven`, the line
    where this is not the header's. None where a row cannot be of another width."""
    rows: int | None = None
    """How many rows the file itself says it has, where it does: the frames have to hold as many."""
    types: Mapping[str, pl.DataType] = field(default_factory=dict)
    """The type of each column, where the file has types."""
    is_headless: bool = False
    """Whether the first line of a text is an event."""


class Format(Protocol):
    """One way to write events into a file."""

    @property
    def name(self) -> str:
        """What `columns.format` calls it."""

    @property
    def endings(self) -> tuple[str, ...]:
        """What names of such files end in, each with its dot, in lower case; none where it has to be asked for."""

    @property
    def is_text(self) -> bool:
        """Whether ids are text, which stands for integers where all of it does."""

    @property
    def may_be_packed(self) -> bool:
        """Whether such files are read through gzip and the like too."""

    @property
    def separator(self) -> str | None:
        """What divides a line into fields, where nobody says otherwise; None of what has no such lines."""

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content | None:
        """The columns of a file, None where it holds no record. May raise DataError and what is `UNREADABLE`.

        Raises ConfigurationError where files of this format cannot be laid out so.
        """
