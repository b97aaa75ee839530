"""The verbs. Results go to stdout, everything else to stderr; an error is one message and an exit code."""

import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer.exceptions import TyperException

from nextitem.cli.check import check
from nextitem.cli.compare import compare
from nextitem.cli.console import stderr
from nextitem.cli.demo import demo
from nextitem.cli.evaluate import evaluate
from nextitem.cli.prepare import prepare
from nextitem.cli.recommend import recommend
from nextitem.cli.report import report
from nextitem.cli.reproduce import reproduce
from nextitem.cli.study import study
from nextitem.cli.train import train
from nextitem.cli.tune import tune
from nextitem.compute.processes import speaker
from nextitem.errors import ConfigurationError, NextitemError

INTERRUPTED = 130
# The table of contents, in the order of `nextitem --help`: a verb is a function of its own name in a file of that name.
VERBS = (train, compare, reproduce, study, prepare, check, tune, report, evaluate, recommend, demo)
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
for verb in VERBS:
    app.command()(verb)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nextitem {version('nextitem')}")
        raise typer.Exit


@app.callback()
def verbs(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Next-item recommendation you can trust: from an event log to a compared, explained, served model."""


def main() -> None:
    """Run a verb; the exit code is 0, that of the error (2 for usage), or 130 when interrupted."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        # Typer swallows an interruption and returns 130 in its place.
        if app(arguments, standalone_mode=False) == INTERRUPTED:
            raise KeyboardInterrupt
    except TyperException as error:
        _complain(
            f"error: {error.format_message().rstrip('.')}; `nextitem --help` and `nextitem VERB --help` tell the usage"
        )
        sys.exit(ConfigurationError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _complain(
            "interrupted; on the CPU `train --resume`, `compare`, `reproduce` and `study` go on after the last epoch"
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe, such as head, has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except NextitemError as error:
        if debug:
            raise
        _complain(f"error: {error}")
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        _complain(f"internal error: {type(error).__name__}: {error}; run again with --debug and report the traceback")
        sys.exit(1)


def _complain(text: str) -> None:
    stderr.print(speaker() + text, style="red", markup=False, highlight=False, soft_wrap=True)
