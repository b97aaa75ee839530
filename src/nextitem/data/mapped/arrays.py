"""Columns of numbers as .npy files, which anyone can open: `numpy.load(file, mmap_mode="r")`."""

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextitem.storage import filled

_HEADER = 128  # bytes, whatever the length: so that it can be corrected when the last number has been written


@contextmanager
def growing(file: Path, kind: str) -> Iterator[Callable[[NDArray[Any]], None]]:
    """What appends numbers to a file, as `kind` (such as "<i4"); the file is a valid .npy when the block ends.

    Raises OSError. numpy's `tofile` would hide what the system refuses when its buffer is written at last.
    """
    length = 0
    with filled(file) as content:
        content.write(_header(kind, length))

        def append(numbers: NDArray[Any]) -> None:
            nonlocal length
            content.write(np.ascontiguousarray(numbers, kind).data)
            length += len(numbers)

        yield append
        content.seek(0)
        content.write(_header(kind, length))


def _header(kind: str, length: int) -> bytes:
    """Version 1.0 of the format: magic, length of the rest, and a literal that is padded and ends a line."""
    described = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({length},), }}"
    rest = f"{described:<{_HEADER - 11}}\n".encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(rest).to_bytes(2, "little") + rest


def mapped(file: Path) -> tuple[Tensor, mmap.mmap]:
    """The numbers of a .npy file that no reading brings into memory to stay, and the mapping that can be released.

    Raises ValueError for a file that is none, or not of one dimension.
    """
    with file.open("rb") as content:
        if np.lib.format.read_magic(content) != (1, 0):
            raise ValueError(f"{file} is a .npy file of another version than 1.0")
        shape, _, kind = np.lib.format.read_array_header_1_0(content)
        if len(shape) != 1:
            raise ValueError(f"{file} holds an array of {len(shape)} dimensions, not of one")
        start = content.tell()
        # Writable memory that no write reaches the file from: torch does not take memory that is read-only.
        mapping = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_COPY)
    return torch.from_numpy(np.frombuffer(mapping, kind, shape[0], start)), mapping
