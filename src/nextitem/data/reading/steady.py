"""A file that stays as it is while it is read: what was read of one that does not is part of two files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from nextitem.errors import DataError

_State = tuple[int, int, int, int]  # device, number there, bytes, time of the last change in nanoseconds


@contextmanager
def unchanged(file: Path) -> Iterator[Callable[[], None]]:
    """Raise DataError where a file is written to, replaced or removed before the block ends.

    Also in place of any other error in it, which then is about what nobody wrote. The block is given what asks this at
    once: a file that grows as fast as it is read would have no end.
    """
    before = _state(file)
    try:
        yield partial(_require_same, file, before)
    except Exception as error:
        _require_same(file, before, error)
        raise
    _require_same(file, before)


def _require_same(file: Path, before: _State | None, error: Exception | None = None) -> None:
    after = _state(file)
    if before is None or after == before:
        return
    sizes = "" if after is None or after[2] == before[2] else f" ({before[2]:,} bytes before, {after[2]:,} now)"
    fact = f"{file} was removed while it was read" if after is None else f"{file} changed while it was read{sizes}"
    raise DataError(f"{fact}; read it again once nobody writes to it, or read a copy") from error


def _state(file: Path) -> _State | None:
    try:
        found = file.stat()
    except (OSError, ValueError):  # told of by whoever opens it
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
