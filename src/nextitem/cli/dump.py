"""The verb `dump`: runs and the database of a service in one file."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, path_to
from nextitem.compute.waiting import told_if_slow
from nextitem.data.acquisition.addresses import folder_at
from nextitem.words import counted


def dump(
    run_folders: Annotated[
        list[Path],
        typer.Argument(parser=folder_at, metavar="RUN...", help="Folders or addresses of the runs that are served."),
    ],
    events: Annotated[Path | None, path_to("Database of the service; it may be in use. None: the runs alone.")] = None,
    out: Annotated[Path, path_to("File to write.")] = Path("state.nextitem"),
    as_json: AsJson = False,
) -> None:
    """Put runs, events and catalogue changes into one file, verified; also while a service runs."""
    from nextitem.serving.store.state import dump as write

    with told_if_slow(f"dumping {counted(len(run_folders), 'run')}", say):
        state = write(run_folders, events, out)
    for note in state.notes:
        say(f"note: {note}")
    if as_json:
        show_json({"file": str(out), "bytes": out.stat().st_size, "runs": [*state.runs], "events": state.events})
        return
    what = counted(len(state.runs), "run") + ("" if state.events is None else f" and {counted(state.events, 'event')}")
    say(f"{what} in {out.stat().st_size / 1e6:,.1f} MB; `nextitem restore {out} --out FOLDER` puts them back")
    show(f"dump: {out}")
