"""Columns of numbers as .npy files, which anyone can open: `numpy.load(file, mmap_mode="r")`."""

import mmap
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextitem.storage import filled, opened

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


def numbers(file: Path, kind: str, length: int) -> Tensor:
    """The numbers of a .npy file, in memory. Raises ValueError and OSError as `mapped`."""
    with opened(file) as content:
        found = _checked(content, (kind,), length)
        return torch.from_numpy(np.frombuffer(bytearray(content.read()), found))


def mapped(file: Path, kinds: Sequence[str], length: int) -> tuple[Tensor, mmap.mmap]:
    """The numbers of a .npy file that no reading brings into memory to stay, and the mapping that can be released.

    Raises ValueError for a file that is not one of `length` numbers of one of these kinds, OSError as the system does.
    """
    with opened(file) as content:
        found = _checked(content, kinds, length)
        start = content.tell()
        # Writable memory that no write reaches the file from: torch does not take memory that is read-only.
        mapping = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_COPY)
    return torch.from_numpy(np.frombuffer(mapping, found, length, start)), mapping


def _checked(content: BufferedReader, kinds: Sequence[str], length: int) -> str:
    """The kind of numbers that a file holds, which is then read up to the first of them.

    Its header is compared and not understood: what numpy takes for one may be any literal of Python.
    """
    head = content.read(10)
    if head[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("it is no .npy file of version 1.0")
    rest = content.read(int.from_bytes(head[8:], "little")).decode("latin1")
    found = re.fullmatch(r"\{'descr': '(<[if][48])', 'fortran_order': False, 'shape': \((\d{1,18}),\), \} *\n", rest)
    if found is None:
        raise ValueError("its header is not that of an array of one dimension, as this package writes it")
    if found[1] not in kinds:
        raise ValueError(f"it holds numbers of the kind {found[1]} and should hold {' or '.join(kinds)}")
    held = os.fstat(content.fileno()).st_size - content.tell()
    if (int(found[2]), held) != (length, length * int(found[1][2:])):
        raise ValueError(f"it states {int(found[2]):,} numbers in {held:,} bytes, and should hold {length:,} numbers")
    return found[1]
