"""A public dataset's description -> a verified local file, and its events.

The folder that the environment variable NEXTITEM_DATA names is searched first, then the cache
(`$XDG_CACHE_HOME/nextitem`, by default `~/.cache/nextitem`); a file found there, plain or .gz, is used as it is. What
is in neither is downloaded once: into NEXTITEM_DATA where that can be written, else into the cache. Found or
downloaded, every file is verified.
"""

import hashlib
import http.client
import logging
import os
import secrets
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from nextitem.description import Description
from nextitem.errors import ConfigurationError, DataError, StorageError
from nextitem.interactions import Interactions
from nextitem.reading import read_interactions
from nextitem.records import UNREADABLE, explained, opened

_CHUNK = 1 << 20  # bytes
_log = logging.getLogger(__name__)


def load(description: Description) -> Interactions:
    """The events of a dataset. Raises DataError where their counts are not the published ones; and as `locate`."""
    file = locate(description)
    interactions = read_interactions(file)
    published = (description.users, description.items, description.events)
    found = (interactions.number_of_users, interactions.number_of_items, len(interactions))
    if found != published:
        raise DataError(
            f"{file} was read as (users, items, events) = {found}, but {description.name} is described by {published}; "
            f"the content is the published one, so correct the description"
        )
    return interactions


def locate(description: Description, timeout: float = 30.0) -> Path:
    """The local file of a dataset, verified by its git blob id; downloaded where there is none.

    `timeout` is in seconds, for connecting and for each wait for content. Raises DataError for other content than
    described, StorageError where it cannot be had, ConfigurationError where NEXTITEM_DATA is no folder.
    """
    given, cache = _given_folder(), _cache_folder()
    names = (description.file, f"{description.file}.gz")
    for file in [folder / name for folder in (given, cache) if folder is not None for name in names]:
        try:
            if not file.is_file():
                continue
            with opened(file) as content:
                difference = _difference(content, description)
        except UNREADABLE as error:
            raise explained(file, error) from error
        if difference:
            raise DataError(
                f"{file} is not the published {description.name}: {difference}; replace it by the content "
                f"of {description.address}, or remove it to have that downloaded"
            )
        return file
    return _download(description, given if given is not None and os.access(given, os.W_OK) else cache, timeout)


def _given_folder() -> Path | None:
    name = os.environ.get("NEXTITEM_DATA")
    if not name:
        return None
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(
            f"NEXTITEM_DATA={name} is not a folder; create it, correct the name or unset the variable"
        )
    return folder


def _cache_folder() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "nextitem"


def _difference(
    content: BinaryIO | http.client.HTTPResponse, description: Description, sink: BinaryIO | None = None
) -> str:
    """How content differs from the described one, "" where it is the same; as it is read it is written into `sink`."""
    # SHA-1 because git's ids are what the origins publish: it tells versions apart, it does not authenticate.
    digest = hashlib.sha1(f"blob {description.size}\0".encode(), usedforsecurity=False)
    size = 0
    while size <= description.size and (chunk := content.read(_CHUNK)):
        size += len(chunk)
        digest.update(chunk)
        if sink is not None:
            sink.write(chunk)
    if size > description.size:
        return f"it has more than the expected {description.size:,} bytes"
    if size < description.size:
        return f"it has {size:,} bytes, expected {description.size:,}"
    actual = digest.hexdigest()
    return "" if actual == description.git_blob else f"its git blob id is {actual}, expected {description.git_blob}"


def _download(description: Description, folder: Path, timeout: float) -> Path:
    by_hand = (
        f"try again, or put its content ({description.size:,} bytes, git blob {description.git_blob}) as "
        f"{description.file} or {description.file}.gz into the folder that NEXTITEM_DATA names"
    )
    file = folder / description.file
    _log.info("downloading %s (%s bytes) to %s", description.address, f"{description.size:,}", file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
    # A name of its own for each process, and in the same folder: the last step is one rename, or nothing.
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response, partial.open("xb") as sink:
            difference = _difference(response, description, sink)
            announced, received = response.headers.get("Content-Length"), sink.tell()
        if difference and announced == str(description.size) and received < description.size:
            raise StorageError(f"{description.address} was cut off after {received:,} of {announced} bytes")
        if difference:
            raise DataError(f"{description.address} did not send the published {description.name}: {difference}")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
