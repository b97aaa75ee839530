"""A folder that one process works in, and a file that one process has open."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from nextitem.errors import ConfigurationError, StorageError
from nextitem.settings.given import expanded
from nextitem.storage.whole import leave, make_folder

R = TypeVar("R")
_ATTEMPTS = 10  # at a folder that whoever had it before takes away in the same moment
_LOCK = ".lock"


class TakenError(ConfigurationError):
    """Another process works in the same folder."""


@contextmanager
def alone_in(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder against other processes; it is made where it is not there, and gone again where it stays empty.

    Raises TakenError where another process holds it: it is `doing` the same. StorageError where the folder cannot be
    made. A process that dies holds nothing any more.
    """
    # Here, because it takes ten milliseconds to import, and only what trains or searches has to be alone.
    from filelock import Timeout

    folder = expanded(folder)
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        unlock = _locked(folder)
    except Timeout:
        raise TakenError(f"another process {doing} in {folder}; wait for it, or choose another --out") from None
    except OSError as error:
        leave(made)
        raise StorageError(f"cannot write to {folder}: {error}; choose another --out") from error
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / _LOCK).unlink(missing_ok=True)  # while it is held: who opened it meanwhile sees it has no name
        leave(dict.fromkeys((folder, *made)))
        unlock()


def when_free(do: Callable[[], R], patience: float) -> R:
    """What `do` gives, tried again for so many seconds where it raises TakenError: who is there may be about to die."""
    until = time.monotonic() + patience
    while True:
        try:
            return do()
        except TakenError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.5)


@contextmanager
def alone_at(file: Path, doing: str, remedy: str) -> Iterator[None]:
    """Hold a file against other processes, whether it is there yet or not, by one beside it that is called so too.

    Raises ConfigurationError, with the remedy, where another process holds it: it is `doing` the same. StorageError
    where the system refuses. A process that dies holds nothing any more.
    """
    from filelock import FileLock, Timeout

    file = expanded(file)
    beside = file.with_name(f".{file.name}{_LOCK}")
    lock = FileLock(beside)
    try:
        make_folder(file.parent)
        lock.acquire(blocking=False)
    except Timeout:
        raise ConfigurationError(f"another process {doing} {file}; {remedy}") from None
    except OSError as error:
        raise StorageError(f"cannot write beside {file}: {error}; {remedy.rpartition(' or ')[2]}") from error
    try:
        yield
    finally:
        lock.release()  # its file stays: whoever waits for a name that goes would hold another one


def clear(folder: Path) -> None:
    """Delete all that is in a folder, but not what keeps it for who is `alone_in` it; what resists stays."""
    for path in folder.glob("*"):
        if path.name != _LOCK:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _locked(folder: Path) -> Callable[[], object]:
    """Lock a folder; what unlocks it. Raises filelock.Timeout where another holds it, OSError where nobody can."""
    from filelock import FileLock, Timeout

    file, gone = folder / _LOCK, None
    for _ in range(_ATTEMPTS):
        lock = FileLock(file)
        try:
            make_folder(folder)
            lock.acquire(blocking=False)
        except FileNotFoundError as error:
            gone = error  # the folder went away between the two; whoever has made it again since may hold it
        except Timeout:
            if file.exists():
                raise
        else:
            return lock.release
    raise gone or Timeout(str(file))
