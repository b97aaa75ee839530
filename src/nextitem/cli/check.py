"""The verb `check`: what a log holds and what would be used of it; whether a prepared folder is what was written."""

from typing import Annotated

import typer

from nextitem.cli.console import say, show, show_json
from nextitem.cli.options import ColumnNames, column_overrides
from nextitem.cli.tables import show_manifest
from nextitem.compute.waiting import told_if_slow
from nextitem.data.datasets import DATASETS
from nextitem.data.examination import examine
from nextitem.data.mapped.folder import verify
from nextitem.data.mapped.writing import settings_from
from nextitem.data.prepare import SYNTHETIC
from nextitem.data.source import Source
from nextitem.errors import ConfigurationError
from nextitem.settings.given import expanded


def check(
    data: Annotated[str, typer.Argument(help="File of events, dataset, or folder that `nextitem prepare` wrote.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as filters.repeats=first.")
    ] = None,
    columns: ColumnNames = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; of a folder, its manifest.")] = False,
) -> None:
    """Say what is in a log and what of it would be used; compare a prepared folder with its checksums."""
    asked = [*(overrides or []), *column_overrides(columns)]
    path = expanded(data)
    if path.is_dir() and data not in (SYNTHETIC, *DATASETS):
        if asked:
            raise ConfigurationError(f"{data} is a folder, which has settings of its own; leave settings out")
        with told_if_slow(f"comparing the files of {data}", say):
            manifest = verify(path)
        for note in manifest.notes:
            say(f"note: {note}")
        show_manifest(manifest, path, "intact", as_json=as_json)
        return
    settings = settings_from(asked)
    with told_if_slow(f"reading {data}", say):
        found = examine(Source(data, settings.columns, settings.filters, settings.split))
    for note in found.notes:
        say(f"note: {note}")
    if as_json:
        show_json(found.as_dict())
        return
    for line in found.lines():
        show(line)
