"""The verbs `prepare` and `check`: a log of any size as a folder that trainings start from at once."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nextitem.data.mapped.folder import Manifest, verify
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.reading.files import parse_columns


def prepare(
    data: Annotated[str, typer.Argument(help="File of events; a name with * stands for several files.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as preparation.repeats=first.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist.")] = Path("prepared"),
    columns: Annotated[str, typer.Option(help="Columns of a file with a header: user=visitor,item=sku,time=ts.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as one JSON object.")] = False,
) -> None:
    """Read, filter and index a log once, in bounded memory; train with data=FOLDER."""
    named = parse_columns(columns).model_dump(exclude_none=True) if columns else {}
    settings = [*(overrides or []), *(f"columns.{role}={name}" for role, name in named.items())]
    manifest = prepare_into(out, data, settings)
    for note in manifest.notes:
        typer.echo(f"note: {note}", err=True)
    _show(manifest, out, "prepared", as_json)


def check(
    folder: Annotated[Path, typer.Argument(help="Folder that `nextitem prepare` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as one JSON object.")] = False,
) -> None:
    """Compare every file of a prepared folder with its checksum; trainings compare only the sizes."""
    _show(verify(folder), folder, "intact", as_json)


def _show(manifest: Manifest, folder: Path, fact: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(manifest.model_dump(mode="json")))
        return
    counts = f"{manifest.events:,} events of {manifest.users:,} users and {manifest.items:,} items"
    typer.echo(f"{fact}: {folder} ({counts})")
