"""The one file of events in a verified zip."""

import os
import zipfile
import zlib
from pathlib import Path

from nextitem.data.acquisition.fingerprint import CHUNK
from nextitem.data.description import Description
from nextitem.errors import DataError, StorageError
from nextitem.storage import filled, make_folder, whole_file


def unpacked_into(folder: Path, archive: Path, description: Description) -> Path:
    """The events of a verified zip: as an earlier call left them in a folder, or written now, whole or not at all.

    Raises DataError for a zip that is damaged or holds more than one file, StorageError where it cannot be written.
    """
    file = folder / description.file
    try:
        with zipfile.ZipFile(archive) as content:
            members = [
                one for one in content.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")
            ]
            if len(members) != 1:
                raise DataError(
                    f"{archive} holds {len(members)} files, and {description.name} is described as one; correct the "
                    f"description"
                )
            if file.is_file() and (file.stat().st_size, _crc(file)) == (members[0].file_size, members[0].CRC):
                return file
            make_folder(folder)
            with whole_file(file) as draft, content.open(members[0]) as source, filled(draft) as sink:
                for chunk in iter(lambda: source.read(CHUNK), b""):
                    sink.write(chunk)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{archive} cannot be unpacked ({error}); remove it to have it downloaded again") from error
    except OSError as error:
        raise StorageError(f"{archive} could not be unpacked into {folder} ({error}); free space there") from error
    return file


def can_write(folder: Path) -> bool:
    """Whether this process may put files into a folder."""
    return os.access(folder, os.W_OK)


def _crc(file: Path) -> int:
    """The checksum that a zip keeps of a file."""
    value = 0
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            value = zlib.crc32(chunk, value)
    return value
