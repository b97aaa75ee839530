"""Where words go: results to stdout, everything else to stderr. No verb prints in any other way.

What came from elsewhere, such as headers, names of files and ids, is shown with its control characters written out. On
a terminal nothing is cut: a table that is too wide for it stands there in several, each with the first column, and one
that is too wide even then as a list of records.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nextitem.compute.streams import say, stderr
from nextitem.errors import StorageError
from nextitem.words import NOTHING, visible

__all__ = ["Sheet", "say", "show", "show_data", "show_entry", "show_json", "show_prose", "show_table", "stderr"]


_PROSE, _TABLES = 20, 3
"""A narrower column of prose is hard to read, and so is what stands in more tables than these."""


def show(text: str) -> None:
    """A result on stdout, as lines that are never wrapped."""
    print(visible(text), flush=True)  # noqa: T201 - the one place


def show_prose(text: str) -> None:
    """Sentences on stdout; on a terminal they are broken between words."""
    console = Console()
    console.print(Text(visible(text)), highlight=False, soft_wrap=not console.is_terminal)


def show_entry(name: str, text: str, width: int = 20) -> None:
    """A line of a list on stdout, the name in front, `width` wide; on a terminal the text is broken beside it."""
    console = Console()
    if not console.is_terminal:
        show(f"{name:<{width}}{text}")
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(min_width=width - 1, no_wrap=True)
    grid.add_column()
    grid.add_row(Text(visible(name)), Text(visible(text)))
    console.print(grid, highlight=False)


def show_json(content: object) -> None:
    """One JSON object on stdout, in one line."""
    is_unicode = sys.stdout.encoding.lower().startswith("utf")
    show(json.dumps(content, ensure_ascii=not is_unicode))


def show_data(text: str) -> None:
    """Ids and all on stdout for another program, to the character.

    Raises StorageError where stdout cannot take one of them: written in another way it would be another id.
    """
    if sys.stdout.isatty():
        text = visible(text)  # for eyes
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError as error:
        raise StorageError(
            f"stdout takes {sys.stdout.encoding} alone, and {text[error.start]!a} is not in it; set PYTHONIOENCODING="
            "utf-8, or write a file by --out"
        ) from error
    print(text, end="", flush=True)  # noqa: T201 - the one place


@dataclass
class Sheet:
    """A table as it is to be read: cells are text, which may have several lines, and never markup."""

    title: str
    columns: Sequence[str]
    left: Sequence[str] = ()
    """The columns of words; those of numbers stand right."""
    prose: Sequence[str] = ()
    """The columns that may be broken into lines between words."""
    caption: str = ""
    rows: list[tuple[str, ...]] = field(default_factory=list)
    sections: set[int] = field(default_factory=set)
    """The rows above which there is a line."""

    def add(self, *cells: str) -> None:
        """One more row, as wide as there are columns."""
        self.rows.append(cells)

    def section(self) -> None:
        """A line above the next row."""
        self.sections.add(len(self.rows))


def show_table(sheet: Sheet) -> None:
    """A table on stdout; only a terminal is too narrow for one."""
    stdout = Console()
    whole = _width(sheet, range(len(sheet.columns)), 10_000, prose=None)
    console = stdout if stdout.is_terminal else Console(width=whole)
    console.print(Text(visible(sheet.title), style="italic"), soft_wrap=not console.is_terminal)
    blocks = _blocks(sheet, console.width)
    for part in _records(sheet, console.width) if blocks is None else (_table(sheet, block) for block in blocks):
        console.print(part, highlight=False)
    if sheet.caption:
        console.print(Text(visible(sheet.caption), style="dim italic"), soft_wrap=not console.is_terminal)


def _blocks(sheet: Sheet, width: int) -> list[list[int]] | None:
    """The columns of each table, as many as fit beside the first; None where one does not fit, or for many tables."""
    blocks = [[0]]
    for column in range(1, len(sheet.columns)):
        if _width(sheet, [*blocks[-1], column], width) > width:
            blocks.append([0])
        blocks[-1].append(column)
    fit = len(blocks) <= _TABLES and all(_width(sheet, block, width) <= width for block in blocks)
    return [block for block in blocks if len(block) > 1 or len(blocks) == 1] if fit else None


def _width(sheet: Sheet, columns: Sequence[int], most: int, prose: int | None = _PROSE) -> int:
    """How wide a table of these columns is that nothing squeezes but prose, or a little more than `most`."""
    console = Console(width=2 * most)
    return Measurement.get(console, console.options, _table(sheet, columns, prose)).maximum


def _table(sheet: Sheet, columns: Sequence[int], prose: int | None = None) -> Table:
    """A table of these columns; those of prose are as wide as there is room, or at most `prose`."""
    table = Table()
    for column in columns:
        name = sheet.columns[column]
        is_prose = name in sheet.prose
        table.add_column(
            Text(visible(name)), justify="left" if name in sheet.left else "right", overflow="fold",
            no_wrap=not is_prose, max_width=prose if is_prose else None,
        )  # fmt: skip
    for number, row in enumerate(sheet.rows):
        if number in sheet.sections and number:
            table.add_section()
        table.add_row(*(Text(visible(row[column])) for column in columns))
    return table


def _records(sheet: Sheet, width: int) -> Iterator[Text | Table]:
    """A block of lines for each row: its first cell, and below it what else there is by its name."""
    names = ["  " + visible(name.replace("\n", " ")) for name in sheet.columns[1:]]
    for row in sheet.rows:
        yield Text(visible(row[0]), style="bold")
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=min(max(map(len, names), default=1), width // 2), overflow="fold")
        grid.add_column(overflow="fold")
        for name, cell in zip(names, row[1:], strict=True):
            if cell and cell != NOTHING:
                grid.add_row(Text(name), Text(visible(cell.replace("\n", " "))))
        yield grid
