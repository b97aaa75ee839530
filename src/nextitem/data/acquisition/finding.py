"""Where the file of a dataset is: in the folder that was given, in the cache, or downloaded now."""

import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from nextitem.data.acquisition.downloading import download
from nextitem.data.acquisition.fingerprint import CHUNK, difference
from nextitem.data.acquisition.unpacking import can_write, unpacked_into
from nextitem.data.description import Description
from nextitem.data.interactions import Interactions
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.opening import UNREADABLE, explained, unpacked
from nextitem.errors import ConfigurationError, DataError, StorageError
from nextitem.settings.given import expanded
from nextitem.storage.places import is_file, is_folder


def load(description: Description) -> Interactions:
    """The events of a dataset, made of its raw file where only that is there.

    Raises DataError where their counts are not the published ones; and as `locate`.
    """
    raw = _raw(description)
    file = locate(description) if raw is None else raw
    interactions = read_interactions(file) if raw is None else _made_of(raw, description)
    published = (description.users, description.items, description.events)
    found = (interactions.number_of_users, interactions.number_of_items, len(interactions))
    kept = round(len(interactions) / description.events_rounded_to) * description.events_rounded_to
    if (*found[:2], kept) != published:
        fault = "the content is the published one, so correct the description"
        if raw is not None:
            settings = " ".join(f"columns.{key}={name}" for key, name in _columns(description).items())
            fault = f"it is another edition: train on it by data={file} {settings}, or take it away"
        raise DataError(
            f"{file} was read as (users, items, events) = {found}, but {description.name} is described by {published}; "
            f"{fault}"
        )
    return interactions


def _raw(description: Description) -> Path | None:
    """The file that a dataset is made of, where that was put into a folder of data and the dataset itself was not."""
    if description.raw is None or local(description) is not None:
        return None
    places = [folder / name for folder in _folders() for name in description.raw.files]
    return next((place for place in places if is_file(place)), None)


def _columns(description: Description) -> Mapping[str, str]:
    return {} if description.raw is None else description.raw.columns


def _made_of(file: Path, description: Description) -> Interactions:
    """The events of the users with enough different items; their repeats are kept."""
    read = read_interactions(file, Columns.model_validate(_columns(description)))
    least = 1 if description.raw is None else description.raw.least_distinct
    return Interactions(read.events.filter(pl.col("item").n_unique().over("user") >= least))


def locate(description: Description, timeout: float = 30.0) -> Path:
    """The local file of a dataset's events, verified by git blob id; downloaded and unpacked where there is none.

    `timeout` is in seconds, for connecting and for each wait for content. Raises DataError for other content than
    described, StorageError where it cannot be had, ConfigurationError where NEXTITEM_DATA is no folder.
    """
    file, given = local(description), _given_folder()
    if file is None:
        folder = given if given is not None and can_write(given) else cache_folder()
        file = download(description, folder, timeout)
    if not description.archive:
        return file
    return unpacked_into(file.parent if can_write(file.parent) else cache_folder(), file, description)


def local(description: Description) -> Path | None:
    """What was downloaded of a dataset, or put there, verified; None where there is nothing. Raises as `locate`."""
    names = (description.archive,) if description.archive else (description.file, f"{description.file}.gz")
    for file in [folder / name for folder in _folders() for name in names]:
        try:
            if not is_file(file):
                continue
            with unpacked(file) as content:
                fault = difference(content, description, description.size or _length(file))
        except UNREADABLE as error:
            raise explained(file, error) from error
        if fault:
            raise DataError(
                f"{file} is not the published {description.name}: {fault}; replace it by the content "
                f"of {description.address}, or remove it to have that downloaded"
            )
        return file
    return None


def _folders() -> list[Path]:
    """The folder that was given and the cache, where there are such."""
    return [folder for folder in (_given_folder(), _cache()) if folder is not None]


def _length(file: Path) -> int:
    """Bytes of a file's content, as it is without gzip."""
    with unpacked(file) as content:
        return sum(len(chunk) for chunk in iter(lambda: content.read(CHUNK), b""))


def _given_folder() -> Path | None:
    name = os.environ.get("NEXTITEM_DATA")
    if not name:
        return None
    folder = expanded(name)
    if not is_folder(folder):
        raise ConfigurationError(
            f"NEXTITEM_DATA={name} is not a folder; create it, correct the name or unset the variable"
        )
    return folder


def cache_folder() -> Path:
    """Where what can be had again is kept between starts. Raises StorageError where nobody says where it is."""
    if (cache := _cache()) is None:
        raise StorageError(
            "there is no place for data: HOME is not set, and whoever this process belongs to has no account with a "
            "home; name a folder by NEXTITEM_DATA, or one for caches by XDG_CACHE_HOME"
        )
    return cache


def _cache() -> Path | None:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (named if named.is_absolute() else Path.home() / ".cache") / "nextitem"
    except RuntimeError:  # there is no home, so nothing was ever kept in it
        return None
