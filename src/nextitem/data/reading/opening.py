"""A file as it lies on disk: opened, through gzip or not, and what is to be said where that fails."""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from nextitem.errors import DataError, StorageError

UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError, pl.exceptions.PolarsError)

_SIGNATURES = {
    b"\x1f\x8b": "gzip; name it .gz",
    b"PK\x03\x04": "zip or Excel; save it as csv",
    b"PAR1": "parquet; name it .parquet",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}


def opened(file: Path) -> BinaryIO:
    """The content of a file, as it is without gzip."""
    return cast(BinaryIO, gzip.open(file)) if _is_gzip(file) else file.open("rb")


def explained(file: Path, error: BaseException, *, is_text: bool = True) -> DataError | StorageError:
    """What one of the `UNREADABLE` errors says about a file: its place, the cause and the remedy."""
    if isinstance(error, OSError) and error.errno is not None:
        return StorageError(f"{file} could not be read: {error.strerror}; check the file's permissions and the disk")
    if _is_gzip(file) and isinstance(error, OSError | EOFError | zlib.error):
        return DataError(f"{file} is not a complete gzip file ({error}); copy or download it again")
    undecodable = _undecodable(file) if is_text else None
    return undecodable or DataError(f"{file} could not be read: {error}; write or download the file again")


def _is_gzip(file: Path) -> bool:
    return file.suffix.lower() == ".gz"


def _undecodable(file: Path) -> DataError | None:
    with opened(file) as content:
        for row, line in enumerate(content, 1):
            for signature, kind in _SIGNATURES.items():
                if row == 1 and line.startswith(signature):
                    return DataError(f"{file} is not text: it begins like {kind}")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                place = f"byte {error.start + 1} of the line (0x{line[error.start]:02x})"
                return DataError(f"{file}:{row}: {place} is not UTF-8; save the file as UTF-8")
    return None
