"""Files and folders that appear whole, and stay.

What is to appear is a draft first, beside its place. Every file and folder of it is put on disk, then it takes its name
by one rename, and then that name is put on disk. A process that is killed or a machine that loses its power leaves the
earlier content or the new one, never a part of it; whatever the new one replaces may be deleted as soon as it is there.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nextitem.errors import ConfigurationError, StorageError

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)  # what a folder answers that is not synced by its system


@contextmanager
def whole_file(file: Path, draft: Path | None = None) -> Iterator[Path]:
    """A name to write to, whose content is that of `file` when the block ends; where it fails nothing has changed.

    `draft` is that name, for a folder that one process works in: what was left there by a kill is written over. The
    system's refusals are the caller's to name: OSError.
    """
    draft = draft or _beside(file)
    try:
        draft.unlink(missing_ok=True)
        draft.touch()
        permissions = draft.stat().st_mode
        yield draft
        draft.chmod(permissions)  # some writers make a file anew, which its owner alone can read
        _sync(draft)
        draft.replace(file)
        _sync(file.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A draft to fill, which is `folder` when the block ends; where it fails nothing has changed.

    With `replace` an earlier folder of that name is there until the new one is on disk. Without, raises
    ConfigurationError where the name is taken. Raises StorageError for what the system refuses.
    """
    if not replace and folder.exists():
        raise ConfigurationError(f"{folder} exists already; remove it, or choose another --out")
    try:
        make_folder(folder.parent)
        with empty_folder(_beside(folder)) as draft:
            yield draft
            if replace:
                _exchange(draft, folder)
            else:
                publish(draft, [folder])
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error}; free space or choose another --out") from error


@contextmanager
def empty_folder(draft: Path) -> Iterator[Path]:
    """A folder to fill, empty whatever a kill left there, and gone when the block ends. Raises OSError."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def publish(draft: Path, names: Iterable[Path]) -> Path:
    """Put a draft on disk under the first of `names` that is not taken, and return that name. Raises OSError."""
    settle(draft)
    for name in names:
        try:
            draft.rename(name)
        except OSError:
            # Asked after the attempt: two that end together would find the same name free.
            if not name.exists():
                raise
        else:
            _sync(name.parent)
            return name
    raise FileExistsError(f"all names for {draft} are taken")


def settle(draft: Path) -> None:
    """Put all of a draft on disk, with the permissions that the umask gave the folder. Raises OSError."""
    permissions = draft.stat().st_mode & 0o666
    for path in sorted(draft.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_file():
            path.chmod(permissions)
        _sync(path)
    _sync(draft)


def make_folder(folder: Path) -> None:
    """A folder that is there, and on disk with all that had to be made above it. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _sync(one.parent)


def _beside(path: Path) -> Path:
    """A name in the same folder that nobody else has."""
    return path.with_name(f".{path.name}-{secrets.token_hex(4)}")


def _sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, would survive a loss of power."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in _CANNOT_SYNC):
            raise


def _exchange(draft: Path, folder: Path) -> None:
    """As `publish`, a folder of that name being deleted at last; where anything fails it has its name still."""
    settle(draft)
    before = draft.with_name(f"{draft.name}-before")
    try:
        if folder.exists():
            folder.rename(before)
        draft.rename(folder)
    except BaseException:
        if before.exists() and not folder.exists():
            before.rename(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(before, ignore_errors=True)
