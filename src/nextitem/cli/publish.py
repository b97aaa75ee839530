"""`nextitem publish`: a run or a prepared log at an address, from which services and trainings fetch it."""

from pathlib import Path
from typing import Annotated

import typer

from nextitem.cli.console import say, show
from nextitem.compute.waiting import told_if_slow
from nextitem.errors import ConfigurationError
from nextitem.settings.given import expanded, is_address, without_password
from nextitem.storage.remote import published, require_address


def publish(
    folder: Annotated[
        Path, typer.Argument(parser=expanded, metavar="FOLDER", help="Folder of a run, or of a prepared log.")
    ],
    address: Annotated[str, typer.Argument(metavar="URL", help="Where it will be, such as s3://bucket/runs/shop.")],
) -> None:
    """Put a run or a prepared log where others fetch it, such as s3://…: its files first, its manifest last."""
    if not is_address(address):
        raise ConfigurationError(f"{address} is no address; give one such as s3://bucket/runs/shop, or copy the folder")
    require_address(address)
    with told_if_slow(f"publishing {folder}", say):
        published(folder, address)
    show(f"published: {without_password(address)}")
