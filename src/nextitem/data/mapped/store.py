"""Columns of events on their way to a prepared folder: plain files, written and read piece by piece."""

import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextitem.storage import filled, naming

Arrays = dict[str, NDArray[Any]]
_TYPES: dict[str, np.dtype[Any]] = {
    "user": np.dtype(np.int32),
    "item": np.dtype(np.int32),
    "time": np.dtype(np.float64),
    "nanoseconds": np.dtype(np.int64),
    "kind": np.dtype(np.int32),
    "weight": np.dtype(np.float32),
    "place": np.dtype(np.int64),
}


class Store:
    """Columns of events as plain files, read and written piece by piece."""

    def __init__(self, folder: Path, name: str, roles: Iterable[str]) -> None:
        self.name = name
        self.files = {role: folder / f"{name}-{role}" for role in roles}
        self.length = 0
        for file in self.files.values():
            with filled(file):
                pass

    def add(self, role: str) -> None:
        """One more column; events that are there already have 0 in it."""
        self.files[role] = next(iter(self.files.values())).with_name(f"{self.name}-{role}")
        with filled(self.files[role]) as content:
            content.truncate(self.length * _TYPES[role].itemsize)

    def write(self, columns: Arrays, at: int) -> None:
        """Put events at a place."""
        for role, file in self.files.items():
            with naming(file), file.open("r+b") as content:
                content.seek(at * _TYPES[role].itemsize)
                content.write(np.ascontiguousarray(columns[role], _TYPES[role]).data)
        self.length = max(self.length, at + len(columns["user"]))

    def read(self, start: int, count: int, roles: Iterable[str] | None = None) -> Arrays:
        """Some events: those that are there. numpy's `fromfile` would take what cannot be read for the end."""
        return {role: self._read(role, start, min(count, self.length - start)) for role in roles or self.files}

    def _read(self, role: str, start: int, count: int) -> NDArray[Any]:
        numbers, file = np.empty(count, _TYPES[role]), self.files[role]
        with naming(file), file.open("rb") as content:
            content.seek(start * numbers.itemsize)
            if content.readinto(numbers.data) != numbers.nbytes:
                raise OSError(errno.EIO, "it ends too early", str(file))
        return numbers

    def remove(self) -> None:
        """Delete the files."""
        for file in self.files.values():
            file.unlink()
