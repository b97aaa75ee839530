"""The verb `report`: one page about one run, or about several that may be compared."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, path_to, stored_run
from nextitem.compute.waiting import told_if_slow
from nextitem.data.acquisition.addresses import folder_at
from nextitem.experiment.again import restore_own
from nextitem.experiment.folder.reading import PAGE
from nextitem.words import counted


def report(
    run_folders: Annotated[
        list[Path],
        typer.Argument(parser=folder_at, metavar="RUN...", help="Folders or addresses of runs, measured on the same."),
    ],
    out: Annotated[Path, path_to("File to write.")] = Path("report.html"),
    as_json: AsJson = False,
) -> None:
    """Write one HTML page about runs: tables, figures, examples, and how they were made."""
    # Here, because matplotlib takes half a second to import, which no other verb should wait.
    from nextitem.report.run.evidence import Evidence, comparable
    from nextitem.report.run.page import write_report

    stored = [stored_run(folder, PAGE) for folder in run_folders]
    with told_if_slow(f"making a page of {counted(len(stored), 'run')}", say):
        runs = comparable([Evidence.of(run) for run in stored])
        write_report(runs, [restore_own(run) for run in stored], out)
    size = out.stat().st_size
    if as_json:
        labels = {str(run.folder): run.label for run in runs}
        show_json({"report": str(out), "bytes": size, "runs": labels})
    else:
        say(f"{counted(len(runs), 'run')} in {size / 1000:,.0f} kB")
        show(f"report: {out}")
