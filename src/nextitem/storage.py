"""Files and folders that appear whole or not at all, and a folder that one process works in."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nextitem.errors import ConfigurationError, StorageError
from nextitem.settings.configuration import Configuration

_ATTEMPTS = 10  # at a folder that whoever had it before takes away in the same moment


@contextmanager
def alone_in(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder against other processes; it is made where it is not there, and gone again where it stays empty.

    Raises ConfigurationError where another process holds it: it is `doing` the same. StorageError where the folder
    cannot be made.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        lock = _locked(folder)
    except BlockingIOError:
        raise ConfigurationError(f"another process {doing} in {folder}; wait for it, or choose another --out") from None
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error}; choose another --out") from error
    try:
        yield
    finally:
        with suppress(OSError):  # the first that holds something stays, and so do those it is in
            for one in dict.fromkeys((folder, *made)):
                one.rmdir()
        os.close(lock)


def _locked(folder: Path) -> int:
    """A descriptor of the folder with the lock on it."""
    for _ in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists() and os.path.samestat(os.fstat(lock), folder.stat()):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
    raise BlockingIOError


class FileFacts(Configuration):
    """What proves a file."""

    bytes: int
    sha256: str


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A draft beside `folder` that takes its name if all goes well, and is removed otherwise.

    Raises ConfigurationError where the name is taken, StorageError where nothing can be written.
    """
    if folder.exists():
        raise ConfigurationError(f"{folder} exists already; remove it, or choose another --out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            yield draft
            draft.chmod(0o755)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error}; free space or choose another --out") from error


def sha256(file: Path) -> str:
    """Fingerprint of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


MANIFEST = "manifest.json"


def write_json(path: Path, content: Any) -> None:
    """Content as indented JSON in a file."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def seal(folder: Path) -> None:
    """Write the manifest of a folder, with the fingerprint of each file in it."""
    sums = {file.name: sha256(file) for file in sorted(folder.iterdir())}
    write_json(folder / MANIFEST, {"sha256": sums})


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A draft to be filled, which takes the folder's place, and that of an earlier one, when the block ends.

    Where the block fails nothing has changed. Raises StorageError for what the system refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        before = draft.with_name(f"{draft.name}-before")
        try:
            yield draft
            draft.chmod(0o755)
            if folder.exists():
                folder.rename(before)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error}; free space or choose another --out") from error


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """A name to write to, whose file takes the place of `file` when the block ends; where it fails nothing has changed.

    The system's refusals are the caller's to name: OSError.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(file)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
