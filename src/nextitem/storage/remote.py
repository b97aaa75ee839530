"""Folders with a manifest at an address, such as s3://bucket/run: fetched whole, by version, and published whole.

By fsspec, so at whatever it knows (`s3://` by the extra s3, `file://`, `memory://`). There is no rename there: a folder
is published when its manifest is, which comes last, and goes first where an earlier one is replaced. Whoever fetches
compares each file with the manifest, so what they get is a whole folder or an error.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from nextitem.errors import ArtefactError, ConfigurationError, NextitemError, StorageError
from nextitem.settings.given import without_password
from nextitem.storage.contents import filled
from nextitem.storage.opened import content_of, parsed
from nextitem.storage.places import what_is_at
from nextitem.storage.sealed import MANIFEST, FileFacts, Named
from nextitem.storage.whole import whole_folder

_AT_ONCE = 1 << 22  # bytes


class _Files(BaseModel):
    """What the manifest of any kind of folder says of its files."""

    model_config: ClassVar[ConfigDict] = {"strict": True}

    files: dict[Named, FileFacts]


def fetched(address: str, into: Path) -> Path:
    """The local copy of a folder at an address, in `into`; what is there of this version already is not fetched again.

    Nothing is there by its name before it is whole: each file has the size and the sha256 of the manifest, whose first
    12 digits are the version. The copy is called as the address ends, and copies of earlier versions stay. Raises
    ArtefactError where nothing was published, or not to its end; StorageError where it cannot be reached; and
    ConfigurationError for an address of an unknown kind, and where the package for it is missing.
    """
    with explained(address, "read"):
        files, place = at(address)
        try:
            content: bytes = files.cat_file(f"{place}/{MANIFEST}")
        except FileNotFoundError as error:
            _require_bucket(files, place, address)
            raise ArtefactError(
                f"{_shown(address)} has no {MANIFEST}: nothing was published there, or not to its end; publish it by "
                f"`nextitem publish FOLDER {_shown(address)}`"
            ) from error
        try:
            named = parsed(_Files, content).files
        except ValueError as error:
            raise ArtefactError(f"{_shown(address)}: {MANIFEST}: {error}; publish it again") from error
        version = hashlib.sha256(content).hexdigest()[:12]
        copy = into / hashlib.sha256(address.encode()).hexdigest()[:16] / version / place.rpartition("/")[2]
        if what_is_at(copy / MANIFEST) is not None:
            return copy
        with whole_folder(copy, replace=True) as draft:
            for name, facts in named.items():
                if _copied(files, f"{place}/{name}", draft / name) != facts:
                    raise ArtefactError(
                        f"{_shown(address)}/{name} is not the file that {MANIFEST} names: it was altered, or is being "
                        f"published anew; try again, or publish it again"
                    )
            with filled(draft / MANIFEST) as out:
                out.write(content)
    return copy


def published(folder: Path, address: str) -> None:
    """Put the files that a folder's manifest names to an address, and the manifest last.

    Raises ArtefactError for a folder without a manifest, and as `require_address`.
    """
    try:
        content = content_of(folder / MANIFEST)
        names = [*parsed(_Files, content).files]
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"{folder} is no run and no prepared log: {MANIFEST}: {error}; give one of these"
        ) from error
    with explained(address, "written"):
        files, place = at(address)
        _require_bucket(files, place, address)
        files.makedirs(place, exist_ok=True)
        if files.exists(f"{place}/{MANIFEST}"):
            files.rm_file(f"{place}/{MANIFEST}")
        for name in names:
            files.put_file(str(folder / name), f"{place}/{name}")
        files.pipe_file(f"{place}/{MANIFEST}", content)


def require_address(address: str) -> None:
    """Raise what keeps one from reaching an address, before hours are spent on what is to be there.

    ConfigurationError for an address of an unknown kind and where the package for it is missing, StorageError for what
    its service refuses: credentials, a bucket that is not there, no connection.
    """
    with explained(address, "reached"):
        files, place = at(address)
        _require_bucket(files, place, address)
        files.exists(f"{place}/{MANIFEST}")


def at(address: str) -> tuple[Any, str]:
    """(what reads and writes at an address or a path, the path that it knows). Raises ConfigurationError."""
    from fsspec.core import url_to_fs  # importing it takes a while, which paths need not wait for

    try:
        files, place = url_to_fs(address.rstrip("/"))
    except ValueError as error:
        raise ConfigurationError(f"{_shown(address)}: {error}; give a folder, or an address such as s3://bucket/run") \
            from error  # fmt: skip
    files.invalidate_cache()  # what was listed before may be another version by now
    return files, place.rstrip("/")


def _require_bucket(files: Any, place: str, address: str) -> None:
    bucket = place.partition("/")[0]
    if bucket and not files.exists(bucket):
        raise StorageError(
            f"{_shown(address)}: there is no {bucket}, or these credentials may not see it; make it first"
        )


def _copied(files: Any, source: str, file: Path) -> FileFacts | None:
    """What proves the file that was copied; None where there is none."""
    digest, size = hashlib.sha256(), 0
    try:
        with files.open(source, "rb") as content, filled(file) as out:
            while part := content.read(_AT_ONCE):
                digest.update(part)
                size += len(part)
                out.write(part)
    except FileNotFoundError:
        return None
    return FileFacts(bytes=size, sha256=digest.hexdigest())


@contextmanager
def explained(address: str, done: str) -> Iterator[None]:
    """What services and their packages raise, each of its own kind, as errors of ours."""
    try:
        yield
    except NextitemError:
        raise
    except ImportError as error:
        raise ConfigurationError(
            f"{_shown(address)} needs a package that is not installed ({error}); run: pip install 'nextitem[s3]', or "
            f"the one that fsspec names"
        ) from error
    except Exception as error:  # of botocore, aiohttp, ssl, …: none of these is imported here
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise StorageError(
            f"{_shown(address)} cannot be {done}: {told}; check the address, the connection and the credentials (of S3 "
            f"AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; another server by AWS_ENDPOINT_URL)"
        ) from error


def _shown(address: str) -> str:
    return without_password(address)
