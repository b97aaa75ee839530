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
    publish_too,
)
from nextitem.cli.tables import show_manifest
from nextitem.compute.waiting import told_if_slow
from nextitem.data.mapped.partitioned import prepare_partitioned
from nextitem.data.mapped.spreading import prepare_spread
from nextitem.data.mapped.writing import prepare_into
from nextitem.engine.cluster import joined_cluster
from nextitem.engine.tasks import RayTasks
from nextitem.errors import ConfigurationError
from nextitem.settings.given import is_address, place_of
from nextitem.storage.remote import require_address


def prepare(
    data: Annotated[str, typer.Argument(help="File of events, or several: a folder, or a path with *.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as filters.repeats=first.")
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            parser=place_of,
            metavar="PATH|URL",
            help="Folder to write, which must not exist; of an address (s3://bucket/shop) ./shop, and there.",
        ),
    ] = "prepared",
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
    --engine ray the processes of a cluster make it, file by file and part by part. At an address as --out it is read by
    data=URL, on any machine.
    """
    by_ray = checked_engine(engine, workers) == "ray"
    if by_ray and parts is None:
        raise ConfigurationError("--engine ray makes the parts of a log: say how many by --parts")
    folder = _folder_of(out, parts)
    with told_if_slow(f"preparing {data}", say):
        of_columns = [*column_overrides(columns, on_bad_rows), *item_column_overrides(item_columns)]
        settings = [*(overrides or []), *of_columns]
        if parts is None:
            manifest = prepare_into(folder, data, settings)
        elif by_ray:
            with joined_cluster():  # one for all pieces
                manifest = prepare_spread(folder, data, parts, RayTasks(workers), settings)
        else:
            manifest = prepare_partitioned(folder, data, parts, settings)
    for note in manifest.notes:
        say(f"note: {note}")
    if is_address(out):
        with told_if_slow(f"publishing {folder}", say):
            publish_too(folder, out, "the log")
    show_manifest(manifest, folder, "prepared", as_json=as_json)


def _folder_of(out: str, parts: int | None) -> Path:
    """Where the log is written. Raises what keeps one from reaching an address, before anything is read."""
    if not is_address(out):
        return Path(out)
    if parts is not None:
        raise ConfigurationError(
            "--parts writes parquet for other engines, which no manifest proves, and nothing publishes; give --out a "
            "folder and copy that, or leave out --parts"
        )
    require_address(out)
    return Path(out.rstrip("/").rpartition("/")[2])
