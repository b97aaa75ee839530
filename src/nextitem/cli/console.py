"""Where words go: tables to stdout, everything else to stderr."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

stderr = Console(stderr=True)


def table_of(title: str | Text, columns: Sequence[str], *, left: Sequence[str]) -> Table:
    """An empty table under its title; columns of numbers stand right, and those of `left` do not."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right")
    return table


def show_table(table: Table) -> None:
    """A table on stdout, never squeezed into the 80 columns that a pipe or file is taken for."""
    stdout = Console()
    Console(width=stdout.width if stdout.is_terminal else 120).print(table, highlight=False)


def say(text: str) -> None:
    """One line on stderr, as it is."""
    stderr.print(text, markup=False, highlight=False, soft_wrap=True)
