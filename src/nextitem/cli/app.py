"""The verbs. Results go to stdout, everything else to stderr; an error is one message and an exit code."""

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from nextitem.cli.console import say, show
from nextitem.cli.usage import command_of, usage_of
from nextitem.compute.endings import Ended, told_of_signals
from nextitem.compute.interrupts import INTERRUPTED, heeded_already, leaving_at_once
from nextitem.compute.streams import READER_GONE, ReaderGoneError, speaker, stderr, taking_everything
from nextitem.compute.waiting import silent, told_if_slow
from nextitem.errors import ConfigurationError, NextitemError, StorageError

_GO_ON = "on the CPU `train --resume`, `compare`, `reproduce` and `study` go on after the last epoch"
VERBS: Mapping[str, str] = {
    "train": "Train a recipe, evaluate it on the test cases and store the run.",
    "ensemble": "Several runs as one: the mean of what their models say, measured and stored as a run.",
    "blend": "A run with counts added to its scores, as much as validation asks for: what followed, what is popular.",
    "distil": "Teach one model what several runs say, beside its targets; it is a run of its own and answers alone.",
    "compare": "Compare recipes on the same data: seeds, intervals, paired tests; finished runs are used again.",
    "reproduce": "Reproduce the paper on a dataset: its table, claims and figures, beside the published values.",
    "study": "Vary one thing of a recipe: table, paired tests and figure, with published values where there are any.",
    "prepare": "Read, filter and index a log once, in bounded memory; train with data=FOLDER.",
    "check": "Say what is in a log, what is wrong with it and what to train; whether a prepared folder is intact.",
    "tune": "Search settings by validation; every recipe gets equally many trials, and leaves its best as best.toml.",
    "report": "Write one HTML page about runs: tables, figures, examples, and how they were made.",
    "evaluate": "Evaluate a stored run again, on the data it was trained on, or lists that anybody made on its cases.",
    "recommend": "The k best next items for users of a run, or for histories in a file.",
    "similar": "The k items that are most like each of some items.",
    "explain": "Which items of a history carry each recommendation, what was left out and why, and what if.",
    "items": "The items of a run: retire, restore, rename or add some without a training, or list what changed.",
    "index": "Put the items of a large catalogue into an index, measured against exact lists: answers in less time.",
    "update": "Train a run on with new events, measure both on later ones, and replace it where it is not worse.",
    "refit": "Learn all events of a run, or all but its test, for as many epochs as validation chose.",
    "forget": "Take a user out of a run, and out of the events of a service; what cannot be taken out is said.",
    "dump": "Put runs, events and catalogue changes into one file, verified; also while a service runs.",
    "restore": "Put what `dump` wrote into a new folder, whole or not at all; every part is verified.",
    "publish": "Put a run or a prepared log where others fetch it, such as s3://…: its files first, its manifest last.",
    "export": "Write the model of a run as one ONNX file with ids and titles of its items, compared with torch.",
    "serve": "Answer over HTTP: recommendations from the models of runs, until SIGTERM or Ctrl-C.",
    "replay": "Ask a service for each later event, then store it: hit rate, latency, decay, beside the offline number.",
    "mcp": "Answer assistants over the Model Context Protocol on stdin and stdout: recommend, similar, explain.",
    "recipes": "List the built-in recipes, or print one as a file to make one's own of.",
    "demo": "Six models on generated data, in minutes: no network, no files.",
}
"""The table of contents, in the order of `nextitem --help`: a verb is a function of its own name in a file of that
name, and what stands beside it here is the first line of its docstring, for a list that imports none of them. Their
options are in usage.json, which `tools/reference.py` writes."""


def verb(name: str) -> TyperCommand:
    """A verb of VERBS as a command with its options; its file is imported, which takes a second or two."""
    with leaving_at_once(), told_if_slow("starting", say if stderr.is_terminal else silent):
        function = getattr(import_module(f"nextitem.cli.{name}"), name)
    return command_of(name, function)


class _Later(TyperCommand):
    """A verb in a list of verbs: help, completion and what is mistyped need its options alone, which are at hand.

    It is imported only when all that was typed is understood.
    """

    def get_params(self, ctx: Any) -> Any:
        if not self.params:
            usage = usage_of(str(self.name))
            self.params, self.help = usage.params, usage.help
        return super().get_params(ctx)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        understood = super().make_context(info_name, [*args], parent, **extra)
        if understood.resilient_parsing:  # somebody completes
            return understood
        return verb(str(self.name)).make_context(info_name, args, parent, **extra)


class _Verbs(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in VERBS.items():
            self.add_command(_Later(name, short_help=summary))


app = typer.Typer(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        show(f"nextitem {version('nextitem')}")
        raise typer.Exit


@app.callback()
def verbs(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Next-item recommendation you can trust.

    From a log of events to a recommender, with numbers that can be checked.
    """


def main() -> None:
    """Run a verb; the exit code is 0, that of the error (2 for usage), or 128 and the number of a signal."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    with taking_everything() as words:
        code = _exit_code(arguments or ["--help"], debug=debug)
        if words.is_lost and code == 0:
            code = StorageError.exit_code
    if code:
        sys.exit(code)


def _exit_code(arguments: list[str], *, debug: bool) -> int:
    """What a verb ended with; what went wrong has been said."""
    try:
        sys.stdout.flush()  # one that is closed is told of before hours of training
        # Typer swallows an interruption and returns 130 in its place.
        with told_of_signals():
            if app(arguments, prog_name="nextitem", standalone_mode=False) == INTERRUPTED:
                raise KeyboardInterrupt
    except TyperException as error:
        return _complain(f"error: {_usage(error)}", ConfigurationError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        with heeded_already():
            return _complain(f"interrupted; {_GO_ON}", INTERRUPTED)
    except Ended as end:
        return _complain(f"ended by {end.name}; {_GO_ON}", end.exit_code)
    except ReaderGoneError:
        return READER_GONE
    except NextitemError as error:
        if debug:
            raise
        return _complain(f"error: {error}", error.exit_code)
    except Exception as error:
        if debug:
            raise
        what = f"{type(error).__name__}: {error}"
        return _complain(f"internal error: {what}; run again with --debug and report the traceback", 1)
    return 0


def _usage(error: TyperException) -> str:
    """A mistake of typing in its words, and where the usage is told."""
    context = getattr(error, "ctx", None)
    verb = "nextitem" if context is None else context.command_path
    return f"{error.format_message().rstrip('.')}; `{verb} --help` tells the usage"


def _complain(text: str, code: int) -> int:
    say(speaker() + text, style="red")
    return code
