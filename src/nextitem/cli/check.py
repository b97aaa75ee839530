"""The verb `check`: whether a prepared folder is still what was written."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say
from nextitem.cli.options import ManifestAsJson
from nextitem.cli.tables import show_manifest
from nextitem.compute.waiting import told_if_slow
from nextitem.data.mapped.folder import verify
from nextitem.settings.given import expanded


def check(
    folder: Annotated[
        Path, typer.Argument(parser=expanded, metavar="FOLDER", help="Folder that `nextitem prepare` wrote.")
    ],
    as_json: ManifestAsJson = False,
) -> None:
    """Compare every file of a prepared folder with its checksum; trainings leave out large files of events."""
    with told_if_slow(f"comparing the files of {folder}", say):
        manifest = verify(folder)
    show_manifest(manifest, folder, "intact", as_json=as_json)
