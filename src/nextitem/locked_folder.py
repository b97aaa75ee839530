"""A folder that one process at a time works in."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nextitem.errors import ConfigurationError, StorageError

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
