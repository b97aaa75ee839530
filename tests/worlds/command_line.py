"""The command line, run in this process."""

import sys

import pytest

from nextitem.cli import app as cli


def typed(patch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command line in this process; its exit code."""
    patch.setattr(sys, "argv", ["nextitem", *words])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
