"""The verb `prepare`: a log of any size as a folder that trainings start from at once."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say
from nextitem.cli.options import (
    ColumnNames,
    EngineName,
    ItemColumns,
    ManifestAsJson,
    OnBadRows,
    Workers,
    checked_engine,
    column_overrides,
    item_column_overrides,
    path_to,
)
from nextitem.cli.tables import show_manifest
from nextitem.compute.waiting import told_if_slow
from nextitem.data.mapped.partitioned import prepare_partitioned
from nextitem.data.mapped.spreading import prepare_spread
from nextitem.data.mapped.writing import prepare_into
from nextitem.engine.cluster import joined_cluster
from nextitem.engine.tasks import RayTasks
from nextitem.errors import ConfigurationError


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
    engine: EngineName = "local",
    workers: Workers = None,
    as_json: ManifestAsJson = False,
) -> None:
    """Read, filter and index a log once, in bounded memory; train with data=FOLDER.

    With --parts the folder holds parquet by a contract that other engines can keep as well: data=FOLDER/events. With
    --engine ray the processes of a cluster make it, file by file and part by part.
    """
    by_ray = checked_engine(engine, workers) == "ray"
    if by_ray and parts is None:
        raise ConfigurationError("--engine ray makes the parts of a log: say how many by --parts")
    with told_if_slow(f"preparing {data}", say):
        of_columns = [*column_overrides(columns, on_bad_rows), *item_column_overrides(item_columns)]
        settings = [*(overrides or []), *of_columns]
        if parts is None:
            manifest = prepare_into(out, data, settings)
        elif by_ray:
            with joined_cluster():  # one for all pieces
                manifest = prepare_spread(out, data, parts, RayTasks(workers), settings)
        else:
            manifest = prepare_partitioned(out, data, parts, settings)
    for note in manifest.notes:
        say(f"note: {note}")
    show_manifest(manifest, out, "prepared", as_json=as_json)
