"""One file that holds many and proves all of itself: an ordinary tar file, of which no byte can be another.

The first member is `manifest.json`, with size and sha256 of every file, the second its own sha256, as `sha256sum`
writes it; then come the files, in that order. A reader knows from the manifest what every header must be and compares
it, so that links, devices, other paths and members cannot even be said; nothing is looked up by what an entry claims.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal

from pydantic import AfterValidator, Field

from nextitem.errors import ArtefactError
from nextitem.settings.configuration import Configuration
from nextitem.storage import MANIFEST, FileFacts, cannot_read, filled, make_folder, opened, parsed
from nextitem.storage.places import NO_NAME

RUNS, EVENTS = "runs", "events.db"
"""Where runs and the database are in it."""
VERSION: Final = 1
_MOST_MANIFEST, _MOST_FILES = 1 << 24, 10_000
_BLOCK, _PIECE = 512, 1 << 20
_PROOF, _END = f"{MANIFEST}.sha256", bytes(2 * _BLOCK)


def _placed(name: str) -> str:
    parts = name.split("/")
    is_place = parts == [EVENTS] or (len(parts) == 3 and parts[0] == RUNS)
    if not is_place or any(part in ("", ".", "..") or not part.isprintable() or "\\" in part for part in parts):
        raise ValueError(f"{name!r} should be {EVENTS} or {RUNS}/NAME/FILE")
    return name


class Contents(Configuration):
    """What a state says of itself."""

    format: Literal["nextitem state"] = "nextitem state"
    version: Literal[1] = VERSION
    made: str = Field(max_length=40)
    """When, in UTC."""
    nextitem: str = Field(max_length=40)
    """The version that wrote it."""
    files: dict[Annotated[str, AfterValidator(_placed)], FileFacts] = Field(min_length=1, max_length=_MOST_FILES)


def write_archive(file: Path, contents: Contents, sources: Mapping[str, Path]) -> None:
    """Write a state: `sources` are where its files are now. Raises ArtefactError for one that changes, and OSError."""
    manifest = _written(contents)
    with filled(file) as out:
        for name, content in ((MANIFEST, manifest), (_PROOF, _proof(manifest))):
            out.write(_header(name, len(content)) + content + bytes(-len(content) % _BLOCK))
        for name, facts in contents.files.items():
            out.write(_header(name, facts.bytes))
            with opened(sources[name]) as source:
                for piece in _proven(source, name, facts, sources[name]):
                    out.write(piece)
            out.write(bytes(-facts.bytes % _BLOCK))
        out.write(_END)


def unpack(file: Path, folder: Path) -> Contents:
    """Put the files of a state, each proven, into an empty folder. Raises ArtefactError, StorageError and OSError."""
    with _opened(file) as content:
        found = _contents(content, file)
        for name, facts in found.files.items():
            _require(content, _header(name, facts.bytes), file, f"what stands before {name}")
            place = folder / name
            make_folder(place.parent)
            with filled(place) as out:
                for piece in _proven(content, name, facts, file):
                    out.write(piece)
            _require(content, bytes(-facts.bytes % _BLOCK), file, f"what stands behind {name}")
        _require(content, _END, file, "its end")
    return found


def not_restored(file: Path, fact: object) -> ArtefactError:
    """What to say of a file that is no whole state."""
    return ArtefactError(f"{file} cannot be restored: {fact}; take another dump")


def _opened(file: Path) -> BinaryIO:
    try:
        return opened(file)
    except OSError as error:
        if error.errno in NO_NAME:
            raise ArtefactError(f"there is no {file}; give a file that `nextitem dump` wrote") from error
        raise cannot_read(file, error) from error
    except ValueError as error:
        raise not_restored(file, error) from error


def _contents(content: BinaryIO, file: Path) -> Contents:
    """The manifest, and nothing read but it and its proof."""
    head = content.read(_BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(head, "utf-8", "strict").size
    except (tarfile.HeaderError, ValueError) as error:
        raise not_restored(file, "it is none that `nextitem dump` wrote") from error
    if not 0 < size <= _MOST_MANIFEST or head != _header(MANIFEST, size):
        raise not_restored(file, f"it does not begin with a {MANIFEST} of at most {_MOST_MANIFEST:,} bytes")
    manifest = content.read(size)
    _require(content, bytes(-size % _BLOCK), file, f"what stands behind {MANIFEST}")
    proof = _proof(manifest)
    expected = _header(_PROOF, len(proof)) + proof + bytes(-len(proof) % _BLOCK)
    _require(content, expected, file, f"its {MANIFEST} or {_PROOF}")
    try:
        found = parsed(Contents, manifest)
    except ValueError as error:
        raise not_restored(file, f"{MANIFEST}: {error}") from error
    if _written(found) != manifest:
        raise not_restored(file, f"{MANIFEST} is not written as this nextitem writes it")
    begun, whole = content.tell(), os.fstat(content.fileno()).st_size
    if (said := begun + _size(found)) != whole:
        raise not_restored(file, f"it has {whole:,} bytes, and {MANIFEST} says {said:,}")
    return found


def _size(contents: Contents) -> int:
    """Bytes of all that follows the manifest and its proof."""
    files = contents.files.items()
    return len(_END) + sum(
        len(_header(name, facts.bytes)) + facts.bytes + -facts.bytes % _BLOCK for name, facts in files
    )


def _proven(content: BinaryIO, name: str, facts: FileFacts, file: Path) -> Iterator[bytes]:
    """The content of a member, piece by piece. Raises ArtefactError at its end where it is another."""
    left, found = facts.bytes, hashlib.sha256()
    while left and (piece := content.read(min(left, _PIECE))):
        found.update(piece)
        left -= len(piece)
        yield piece
    if left or found.hexdigest() != facts.sha256:
        raise not_restored(file, f"{name} was altered: its content is not that of {MANIFEST}")


def _require(content: BinaryIO, expected: bytes, file: Path, what: str) -> None:
    if content.read(len(expected)) != expected:
        raise not_restored(file, f"{what} was altered")


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _written(contents: Contents) -> bytes:
    return contents.model_dump_json(indent=2).encode() + b"\n"


def _proof(manifest: bytes) -> bytes:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
