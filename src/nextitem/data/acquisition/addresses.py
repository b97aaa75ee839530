"""Folders that are somewhere else: an address leads to the copy of it that is kept here."""

from pathlib import Path

from nextitem.data.acquisition.finding import cache_folder
from nextitem.settings.given import expanded, is_address
from nextitem.storage.remote import fetched


def folder_at(place: Path | str) -> Path:
    """The folder at a path, or the copy of a run or prepared log at an address, in the cache; raises as `fetched`.

    Each time the address is asked for its version, and what is not here of it is fetched.
    """
    return fetched(str(place), cache_folder() / "fetched") if is_address(str(place)) else expanded(place)
