"""Compressed files: which packing a name tells, and their content as it is without it."""

import gzip
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from nextitem.storage.opened import opened

MOST_EXPANSION = 100
"""How many times as many bytes may come out of a packed file as were read of it, beyond what may always come."""
ALWAYS_UNPACKED = 1 << 27
"""Bytes that may come out of any packed file."""

_CUT_OFF = "Compressed file ended before the end-of-stream marker was reached"  # as gzip says it
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SKIPPED = b"\x50\x2a\x4d\x18"  # so begins a frame that holds nothing; of the first byte the lower half is free
_SHOWN = 16  # bytes in a message
_PACKED_AT_ONCE = 1 << 10  # bytes; four of them may stand for 128 KiB, so this is at most 32 MiB


@dataclass(frozen=True)
class Packing:
    """One way to make a file smaller."""

    name: str
    unpack: Callable[[BinaryIO], BinaryIO]
    """The content of a packed file that is being read."""
    signature: bytes
    """What the content of such a file begins with."""


class TrailingError(ValueError):
    """Behind the end of packed content there are bytes that are neither padding nor more of it."""


class ExpansionError(ValueError):
    """What comes out of a packed file is without measure."""


class _Measured(io.RawIOBase):
    """Unpacked content, as long as it keeps to a measure: an ExpansionError ends what a few bytes blow up without end.

    Measured by what was read of the file so far, it ends long before a file of some megabytes has filled a memory.
    """

    def __init__(self, packed: BinaryIO, content: BinaryIO) -> None:
        self._packed, self._content, self._given = packed, content, 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        block = self._content.read(len(target))
        target[: len(block)] = block
        self._given += len(block)
        taken = self._packed.tell()
        if self._given > ALWAYS_UNPACKED and self._given > MOST_EXPANSION * taken:
            raise ExpansionError(
                f"{self._given:,} bytes come out of its first {taken:,}: more than {MOST_EXPANSION} times as many, and "
                f"more than {ALWAYS_UNPACKED:,}"
            )
        return len(block)


BROKEN = (EOFError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile, TrailingError, ExpansionError)
"""What says that compressed content cannot be had, or not whole."""


class _Zstandard(io.RawIOBase):
    """The content of Zstandard frames behind one another; zeros behind the last one are padding.

    The library's own reader takes a frame that was cut off for its end.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self._packed, self._rest, self._ready = packed, b"", memoryview(b"")
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._is_behind = False  # a frame, where the next one would begin

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            if not self._refill():
                return 0
        count = min(len(target), len(self._ready))
        target[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _refill(self) -> bool:
        """Whether there was anything left to unpack."""
        packed = self._rest or self._packed.read(_PACKED_AT_ONCE)
        self._rest = b""
        if self._frame is None and packed:
            packed = packed.lstrip(b"\0")
            return self._unpack(self._begun(packed)) if packed else True
        if not packed and self._frame is not None:
            raise EOFError(_CUT_OFF)
        return bool(packed) and self._unpack(packed)

    def _begun(self, packed: bytes) -> bytes:
        """The bytes with which a frame begins. Raises TrailingError where none does behind another one."""
        packed += self._packed.read(max(0, len(_SKIPPED) - len(packed)))
        is_frame = packed.startswith(_ZSTANDARD) or (packed[0] >> 4 == 5 and packed[1:4] == _SKIPPED[1:])
        if self._is_behind and not is_frame:
            raise TrailingError(packed[:_SHOWN])
        self._frame, self._is_behind = zstandard.ZstdDecompressor().decompressobj(), True
        return packed

    def _unpack(self, packed: bytes) -> bool:
        if self._frame is not None:
            self._ready = memoryview(self._frame.decompress(packed))
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, None
        return True


def _of_gzip(packed: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=packed))


def _of_zstandard(packed: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Zstandard(packed), 1 << 20)


def measured(packed: BinaryIO, content: BinaryIO) -> BinaryIO:
    """What comes out of a packed file, until that is without measure: then ExpansionError is raised."""
    return io.BufferedReader(_Measured(packed, content), 1 << 16)


PACKINGS: Mapping[str, Packing] = {
    ".gz": Packing("gzip", _of_gzip, _GZIP),
    ".zst": Packing("Zstandard", _of_zstandard, _ZSTANDARD),
}
"""What the last ending of a name says of its content."""


def packing_of(file: Path) -> str | None:
    """The ending of a packed file's name, without regard to case; None where the file is as it is."""
    ending = file.suffix.lower()
    return ending if ending in PACKINGS else None


def name_without_packing(file: Path) -> str:
    """The name in lower case, as it is once the file is unpacked.

    >>> name_without_packing(Path("Log.CSV.zst"))
    'log.csv'
    """
    return file.name.lower().removesuffix(packing_of(file) or "")


def fault(file: Path, error: BaseException) -> str:
    """What one of the `BROKEN` errors says about a packed file, with the remedy."""
    packing = PACKINGS[file.suffix.lower()]
    kind, again = packing.name, "copy or download it again"
    if isinstance(error, ExpansionError):
        return f"unpacks without measure: {error}; unpack it yourself if you trust it"
    with opened(file) as packed:
        begins_so = packed.read(len(packing.signature)) == packing.signature
    if not begins_so:
        return f"is not a complete {kind} file (it does not begin as one); name it by what it is, or {again}"
    # So the library says that a further stream does not begin as one.
    if isinstance(error, TrailingError) or str(error).startswith("Not a gzipped file"):
        return f"has bytes behind the end of what {kind} packed, and these are no more of it; cut them off, or {again}"
    return f"is not a complete {kind} file ({error}); {again}"
