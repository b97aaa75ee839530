"""The verb `prepare`: a log of any size as a folder that trainings start from at once."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say
from nextitem.cli.options import (
    ColumnNames,
    ItemColumns,
    ManifestAsJson,
    OnBadRows,
    column_overrides,
    item_column_overrides,
    path_to,
)
from nextitem.cli.tables import show_manifest
from nextitem.compute.waiting import told_if_slow
from nextitem.data.mapped.partitioned import prepare_partitioned
from nextitem.data.mapped.writing import prepare_into


def prepare(
    data: Annotated[str, typer.Argument(help="File of events, or several: a folder, or a path with *.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as filters.repeats=first.")
    ] = None,
    out: Annotated[Path, path_to("Folder to write; it must not exist.")] = Path("prepared"),
    columns: ColumnNames = "",
    on_bad_rows: OnBadRows = None,
    item_columns: ItemColumns = "",
    parts: Annotated[
        int | None,
        typer.Option(min=1, help="Write parquet for other engines instead, users dealt to so many folders."),
    ] = None,
    as_json: ManifestAsJson = False,
) -> None:
    """Read, filter and index a log once, in bounded memory; train with data=FOLDER.

    With --parts the folder holds parquet by a contract that other engines can keep as well: data=FOLDER/events.
    """
    with told_if_slow(f"preparing {data}", say):
        of_columns = [*column_overrides(columns, on_bad_rows), *item_column_overrides(item_columns)]
        settings = [*(overrides or []), *of_columns]
        manifest = (
            prepare_into(out, data, settings) if parts is None else prepare_partitioned(out, data, parts, settings)
        )
    for note in manifest.notes:
        say(f"note: {note}")
    show_manifest(manifest, out, "prepared", as_json=as_json)
