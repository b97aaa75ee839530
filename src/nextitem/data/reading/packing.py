"""Compressed files: which packing a name tells, and their content as it is without it."""

import gzip
import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

BROKEN = (EOFError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile)
"""What says that compressed content is not whole."""

_CUT_OFF = "Compressed file ended before the end-of-stream marker was reached"  # as gzip says it
_PACKED_AT_ONCE = 1 << 10  # bytes; four of them may stand for 128 KiB, so this is at most 32 MiB


@dataclass(frozen=True)
class Packing:
    """One way to make a file smaller."""

    name: str
    unpack: Callable[[BinaryIO], BinaryIO]
    """The content of a packed file that is being read."""


class _Zstandard(io.RawIOBase):
    """The content of Zstandard frames behind one another; zeros behind the last one are padding.

    The library's own reader takes a frame that was cut off for its end.
    """

    def __init__(self, packed: BinaryIO) -> None:
        self._packed, self._rest, self._ready = packed, b"", memoryview(b"")
        self._frame: zstandard.ZstdDecompressionObj | None = None

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
            self._frame = zstandard.ZstdDecompressor().decompressobj() if packed else None
            return True if self._frame is None else self._unpack(packed)
        if not packed and self._frame is not None:
            raise EOFError(_CUT_OFF)
        return bool(packed) and self._unpack(packed)

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


PACKINGS: Mapping[str, Packing] = {
    ".gz": Packing("gzip", _of_gzip),
    ".zst": Packing("Zstandard", _of_zstandard),
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
