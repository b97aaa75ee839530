"""`nextitem export`: a run as a file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import AsJson, RunToRead, path_to, stored_run
from nextitem.compute.waiting import told_if_slow
from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import LISTS


def export(
    run_folder: RunToRead,
    out: Annotated[Path, path_to("File to write: .onnx.")] = Path("model.onnx"),
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Items of a list; whoever asks may use fewer.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Write the model of a run as one ONNX file with ids and titles of its items, compared with torch."""
    from nextitem.serving.export.onnx import export_onnx

    if out.suffix != ".onnx":
        raise ConfigurationError(f"--out {out}: the ending has to tell the format; known: .onnx")
    run = stored_run(run_folder, LISTS)
    with told_if_slow("exporting", say):
        made = export_onnx(run, out, k)
    if as_json:
        show_json({"file": str(out), "bytes": made.size, "k": made.k, "compared": made.compared})
        return
    say(f"{made.size / 1e6:,.1f} MB; of {made.compared} histories onnxruntime lists by it what torch lists")
    show(f"export: {out}")
