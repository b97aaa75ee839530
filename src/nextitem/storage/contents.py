"""What fills a file: texts, tables, tensors and arrays, through Python's own files.

Those say what the system refused, at the latest when they are closed; libraries that write by themselves do not always.
Every OSError names the file.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextitem.errors import StorageError
from nextitem.storage.cells import guarded

_TENSORS = {  # what safetensors calls them, in its own order
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ORDER = list(_TENSORS)
_LEVEL = 1  # of zstd, for tables too large for the memory: a third less work than its default for a tenth more bytes


@contextmanager
def refusals(place: Path | str, remedy: str = "free space or choose another --out") -> Iterator[None]:
    """What the system refuses inside the block is a StorageError that says what was to be written."""
    try:
        yield
    except OSError as error:
        folder = None if error.filename is None else Path(error.filename).parent
        if isinstance(error, FileNotFoundError) and folder is not None and not folder.is_dir():
            fact = f"there is no folder {folder}; make it or {remedy.rpartition(' or ')[2]}"
            raise StorageError(f"cannot write {place}: {fact}") from error
        raise StorageError(f"cannot write {place}: {error}; {remedy}") from error


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Whatever the system refuses inside the block names this file, unless it names one: writing knows numbers only."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(file)
        raise


@contextmanager
def filled(file: Path) -> Iterator[BinaryIO]:
    """A file to fill, from its beginning. Raises OSError."""
    with naming(file), file.open("wb") as content:
        yield content


@contextmanager
def extended(file: Path) -> Iterator[BinaryIO]:
    """A file to fill from its end, made where it is not there. Raises OSError."""
    with naming(file), file.open("ab") as content:
        yield content


def write_text(file: Path, text: str) -> None:
    """Write a text as UTF-8. Raises OSError."""
    with filled(file) as content:
        content.write(text.encode())


def write_rows(file: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows of anything as csv. Raises OSError."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(file, text.getvalue())


def write_csv(file: Path, frame: pl.DataFrame) -> None:
    """Write a table with a header, its texts `guarded`. Raises OSError."""
    with _sink(file) as sink:
        guarded(frame).write_csv(sink)


def append_csv(file: Path, frame: pl.DataFrame) -> None:
    """Write rows behind those of a csv, its header first where there is none, texts `guarded`. Raises OSError."""
    if frame.height:
        is_new = not file.exists()
        with naming(file), file.open("ab") as content:
            content.write(guarded(frame).write_csv(include_header=is_new).encode())


def write_parquet(file: Path, frame: pl.DataFrame | pl.LazyFrame) -> None:
    """Write a table; a lazy one as its rows come, without holding all of them. Raises OSError."""
    with _sink(file) as sink:
        if isinstance(frame, pl.DataFrame):
            frame.write_parquet(sink)
        else:
            frame.sink_parquet(sink, compression_level=_LEVEL)


def write_arrow(file: Path, frame: pl.DataFrame) -> None:
    """Write a table as an Arrow file, packed lightly: what is soon read again. Raises OSError."""
    with _sink(file) as sink:
        frame.write_ipc(sink, compression="lz4")


def write_array(file: Path, array: NDArray[Any]) -> None:
    """Write a .npy file. Raises OSError."""
    with _sink(file) as sink:
        np.save(sink, array)  # of what is no file of the system it writes as Python does


@dataclass(frozen=True)
class Made:
    """A tensor that is made when it is read, so that nobody holds several such ones."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    make: Callable[[], Tensor]

    def numel(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def bytes_of(tensor: Tensor | Made) -> memoryview:
    """The numbers of a tensor in order, as they are stored."""
    made = tensor.make() if isinstance(tensor, Made) else tensor
    return made.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def write_tensors(
    file: Path, tensors: Mapping[str, Tensor] | Mapping[str, Tensor | Made], words: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file: tensors by name, and words about them. Raises OSError.

    The bytes are those of `safetensors.torch.save_file`, which would put a file of its own in the place of the one that
    is there, whatever that is, and of which `save` would hold a copy of all tensors.
    """
    # The order of the library: the types as below, and names within a type.
    named = sorted(tensors.items(), key=lambda one: (_ORDER.index(one[1].dtype), one[0]))
    header: dict[str, Any] = {} if words is None else {"__metadata__": dict(words)}
    end = 0
    for name, tensor in named:
        begin, end = end, end + tensor.numel() * tensor.dtype.itemsize
        kind = _TENSORS[tensor.dtype]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    described = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    described += b" " * (-len(described) % 8)
    with filled(file) as content:
        content.write(len(described).to_bytes(8, "little") + described)
        for _, tensor in named:
            content.write(bytes_of(tensor))


class _Sink:
    """What libraries write to. They hide what is raised in it behind errors of their own, so it is kept."""

    def __init__(self, content: BinaryIO) -> None:
        self.content = content
        self.raised: BaseException | None = None

    def write(self, piece: Any) -> int:
        """As that of a file."""
        try:
            return self.content.write(piece)
        except BaseException as error:
            self.raised = error
            raise

    def flush(self) -> None:
        """Nothing: it is closed at the end, and that flushes."""


@contextmanager
def _sink(file: Path) -> Iterator[Any]:
    with filled(file) as content:
        sink = _Sink(content)
        try:
            yield sink
        except Exception:
            if sink.raised is not None:
                raise sink.raised from None
            raise
