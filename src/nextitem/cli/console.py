"""Where words go: tables to stdout, everything else to stderr."""

from rich.console import Console
from rich.table import Table

stderr = Console(stderr=True)


def show(table: Table) -> None:
    """A table on stdout, never squeezed into the 80 columns that a pipe or file is taken for."""
    stdout = Console()
    Console(width=stdout.width if stdout.is_terminal else 120).print(table, highlight=False)


def say(text: str) -> None:
    """One line on stderr, as it is."""
    stderr.print(text, markup=False, highlight=False, soft_wrap=True)
