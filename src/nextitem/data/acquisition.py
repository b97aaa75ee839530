"""A public dataset's description -> a verified local file, and its events.

The folder that the environment variable NEXTITEM_DATA names is searched first, then the cache
(`$XDG_CACHE_HOME/nextitem`, by default `~/.cache/nextitem`); a file found there, plain or .gz, is used as it is. What
is in neither is downloaded once: into NEXTITEM_DATA where that can be written, else into the cache. Found or
downloaded, every file is verified. Of a dataset that comes as a zip, the zip is kept and verified, and the one file in
it is written beside it, or into the cache where that place cannot be written.
"""

import hashlib
import http.client
import logging
import os
import shutil
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from nextitem.data.description import Description
from nextitem.data.interactions import Interactions
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.opening import UNREADABLE, explained, unpacked
from nextitem.errors import ConfigurationError, DataError, StorageError
from nextitem.settings.given import expanded
from nextitem.storage import make_folder, whole_file
from nextitem.storage.places import is_file, is_folder

_CHUNK = 1 << 20  # bytes
_log = logging.getLogger(__name__)


def load(description: Description) -> Interactions:
    """The events of a dataset. Raises DataError where their counts are not the published ones; and as `locate`."""
    file = locate(description)
    interactions = read_interactions(file)
    published = (description.users, description.items, description.events)
    found = (interactions.number_of_users, interactions.number_of_items, len(interactions))
    kept = round(len(interactions) / description.events_rounded_to) * description.events_rounded_to
    if (*found[:2], kept) != published:
        raise DataError(
            f"{file} was read as (users, items, events) = {found}, but {description.name} is described by {published}; "
            f"the content is the published one, so correct the description"
        )
    return interactions


def locate(description: Description, timeout: float = 30.0) -> Path:
    """The local file of a dataset's events, verified by git blob id; downloaded and unpacked where there is none.

    `timeout` is in seconds, for connecting and for each wait for content. Raises DataError for other content than
    described, StorageError where it cannot be had, ConfigurationError where NEXTITEM_DATA is no folder.
    """
    file, given = local(description), _given_folder()
    if file is None:
        can_write = given is not None and os.access(given, os.W_OK)
        file = _download(description, given if given is not None and can_write else _cache_folder(), timeout)
    return _unpacked(description, file) if description.archive else file


def local(description: Description) -> Path | None:
    """What was downloaded of a dataset, or put there, verified; None where there is nothing. Raises as `locate`."""
    names = (description.archive,) if description.archive else (description.file, f"{description.file}.gz")
    for file in [folder / name for folder in _folders() for name in names]:
        try:
            if not is_file(file):
                continue
            with unpacked(file) as content:
                difference = _difference(content, description, description.size or _length(file))
        except UNREADABLE as error:
            raise explained(file, error) from error
        if difference:
            raise DataError(
                f"{file} is not the published {description.name}: {difference}; replace it by the content "
                f"of {description.address}, or remove it to have that downloaded"
            )
        return file
    return None


def _folders() -> list[Path]:
    """The folder that was given and the cache, where there are such."""
    return [folder for folder in (_given_folder(), _cache()) if folder is not None]


def _unpacked(description: Description, archive: Path) -> Path:
    """The events of a verified zip: as an earlier call left them, or written now, whole or not at all."""
    folder = archive.parent if os.access(archive.parent, os.W_OK) else _cache_folder()
    file = folder / description.file
    try:
        with zipfile.ZipFile(archive) as content:
            members = [
                one for one in content.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")
            ]
            if len(members) != 1:
                raise DataError(
                    f"{archive} holds {len(members)} files, and {description.name} is described as one; correct the "
                    f"description"
                )
            if file.is_file() and (file.stat().st_size, _crc(file)) == (members[0].file_size, members[0].CRC):
                return file
            make_folder(folder)
            with whole_file(file) as draft, content.open(members[0]) as source, draft.open("wb") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{archive} cannot be unpacked ({error}); remove it to have it downloaded again") from error
    except OSError as error:
        raise StorageError(f"{archive} could not be unpacked into {folder} ({error}); free space there") from error
    return file


def _length(file: Path) -> int:
    """Bytes of a file's content, as it is without gzip."""
    with unpacked(file) as content:
        return sum(len(chunk) for chunk in iter(lambda: content.read(_CHUNK), b""))


def _crc(file: Path) -> int:
    """The checksum that a zip keeps of a file."""
    value = 0
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value


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


def _cache_folder() -> Path:
    """The cache. Raises StorageError where nobody says where it is."""
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


def _difference(
    content: BinaryIO | http.client.HTTPResponse,
    description: Description,
    size: int | None,
    sink: BinaryIO | None = None,
) -> str:
    """How content differs from the described one, "" where it is the same; as it is read it is written into `sink`.

    `size` is how many bytes it must have: a git blob id begins with that.
    """
    if size is None:
        return "its size is unknown: the server announces none"
    # SHA-1 because git's ids are what the origins publish: it tells versions apart, it does not authenticate.
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    received = 0
    while received <= size and (chunk := content.read(_CHUNK)):
        received += len(chunk)
        digest.update(chunk)
        if sink is not None:
            sink.write(chunk)
    if received > size:
        return f"it has more than the expected {size:,} bytes"
    if received < size:
        return f"it has {received:,} bytes, expected {size:,}"
    actual = digest.hexdigest()
    return "" if actual == description.git_blob else f"its git blob id is {actual}, expected {description.git_blob}"


def _download(description: Description, folder: Path, timeout: float) -> Path:
    file = folder / (description.archive or description.file)
    names = file.name if description.archive else f"{file.name} or {file.name}.gz"
    size = "" if description.size is None else f"{description.size:,} bytes, "
    by_hand = (
        f"try again, or put its content ({size}git blob {description.git_blob}) as {names} into the folder that "
        f"NEXTITEM_DATA names"
    )
    _log.info("downloading %s (%sgit blob %s) to %s", description.address, size, description.git_blob, file)
    try:
        make_folder(folder)
        _fetch(description, file, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise StorageError(f"{description.address} answers {error.code} {error.reason}; {by_hand}") from error
    except urllib.error.URLError as error:
        raise StorageError(f"{description.address} cannot be reached ({error.reason}); {by_hand}") from error
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(f"{description.address} could not be downloaded to {file} ({error}); {by_hand}") from error
    except (DataError, StorageError) as error:
        raise type(error)(f"{error}; {by_hand}") from error
    return file


def _fetch(description: Description, file: Path, timeout: float) -> None:
    request = urllib.request.Request(description.address, headers={"User-Agent": "nextitem"})
    with whole_file(file) as draft:  # a name of its own for each process
        with urllib.request.urlopen(request, timeout=timeout) as response, draft.open("wb") as sink:
            announced = response.headers.get("Content-Length", "")
            size = description.size or (int(announced) if announced.isdigit() else None)
            difference = _difference(response, description, size, sink)
            received = sink.tell()
        if difference and size is not None and announced == str(size) and received < size:
            raise StorageError(f"{description.address} was cut off after {received:,} of {announced} bytes")
        if difference:
            raise DataError(f"{description.address} did not send the published {description.name}: {difference}")
