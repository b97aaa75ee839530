"""What lies on disk is not trusted: regular files only, no larger than they may be, and JSON of given fields."""

import hashlib
import os
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from nextitem.errors import StorageError
from nextitem.settings.refusals import in_words
from nextitem.storage.places import A_FILE, kind_of

SHA256 = "^[0-9a-f]{64}$"
"""What a fingerprint looks like."""
MOST_JSON = 1 << 26
"""Bytes of a file of JSON that are read at once, 64 MB: a manifest, a recipe, metrics."""


def opened(file: Path, most: int | None = None) -> BufferedReader:
    """A regular file, or what a link leads to where that is one, to be read; nothing is waited for.

    Raises ValueError for anything else, which could have no end, and where there are more than `most` bytes; OSError
    for what the system refuses.
    """
    _check(file, file.stat(), most)  # first: to open a device may already do something
    content = os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        _check(file, os.fstat(content.fileno()), most)  # it may have been exchanged meanwhile
    except ValueError:
        content.close()
        raise
    return content


def _check(file: Path, facts: os.stat_result, most: int | None) -> None:
    if (kind := kind_of(facts.st_mode)) != A_FILE:
        raise ValueError(f"{file} is {kind}, not a regular file")
    if most is not None and facts.st_size > most:
        raise ValueError(f"{file} has {facts.st_size:,} bytes, where at most {most:,} are read")


def content_of(file: Path, most: int = MOST_JSON) -> bytes:
    """All of a regular file. Raises as `opened`."""
    with opened(file, most) as content:
        return content.read()


def cannot_read(file: Path, error: OSError) -> StorageError:
    """What to say where the system refuses to read what may well be whole, so that nobody makes it anew."""
    is_denied = isinstance(error, PermissionError)
    remedy = "correct its permissions and those of the folders that it is in" if is_denied else "try again"
    return StorageError(f"{file} cannot be read: {error.strerror or error}; {remedy}")


C = TypeVar("C", bound=BaseModel)


def parsed(model: type[C], content: bytes) -> C:
    """What JSON says. Raises ValueError naming the field."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(in_words(model, error)) from error


def sha256(file: Path) -> str:
    """Fingerprint of a file's content. Raises as `opened`."""
    with opened(file) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
