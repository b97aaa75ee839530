"""The verb `restore`: what `dump` wrote as folders again."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, path_to
from nextitem.compute.waiting import told_if_slow
from nextitem.settings.given import expanded
from nextitem.words import counted


def restore(
    file: Annotated[Path, typer.Argument(parser=expanded, metavar="FILE", help="File that `nextitem dump` wrote.")],
    out: Annotated[Path, path_to("Folder to write; it must not exist.")] = Path("restored"),
    as_json: AsJson = False,
) -> None:
    """Put what `dump` wrote into a new folder, whole or not at all; every part is verified."""
    from nextitem.serving.store.archive import EVENTS, RUNS
    from nextitem.serving.store.state import restore as read

    with told_if_slow(f"restoring {file}", say):
        state = read(file, out)
    runs = [str(out / RUNS / name) for name in state.runs]
    events = None if state.events is None else str(out / EVENTS)
    if as_json:
        show_json({"folder": str(out), "runs": runs, "database": events, "events": state.events})
        return
    what = counted(len(runs), "run") + ("" if state.events is None else f" and {counted(state.events, 'event')}")
    with_events = [] if events is None else ["--events", events]
    say(f"{what}; serve them by: {shlex.join(['nextitem', 'serve', *runs, *with_events])}")
    show(f"restored: {out}")
