"""Which folders with a manifest lie at a path or an address: the one there itself, or else those in it."""

import hashlib
from dataclasses import dataclass
from typing import Any

from nextitem.storage.remote import at, explained
from nextitem.storage.sealed import MANIFEST


@dataclass(frozen=True)
class Lying:
    """A folder with a manifest, as it lay there when it was looked at; nothing of it is proven."""

    place: str
    """Its path or address."""
    manifest: bytes

    @property
    def version(self) -> str:
        """The first 12 digits of the manifest's sha256: equal for equal folders, wherever they lie."""
        return hashlib.sha256(self.manifest).hexdigest()[:12]


def lying_at(place: str) -> list[Lying]:
    """The folder with a manifest at a path or an address, or else those in it by name; none where nothing is there.

    Names that begin with `.` or `_` are passed over, such as those of what is being written. Raises StorageError for
    what cannot be reached, and ConfigurationError for an address of an unknown kind and where its package is missing.
    """
    with explained(place, "looked at"):
        files, root = at(place)
        if (only := _lying(files, root, place)) is not None:
            return [only]
        if not files.isdir(root):
            return []
        there = [entry["name"].rstrip("/").rpartition("/")[2] for entry in files.ls(root, detail=True)]
        names = sorted(name for name in there if name and name[0] not in "._")
        found = [_lying(files, f"{root}/{name}", f"{place.rstrip('/')}/{name}") for name in names]
        return [one for one in found if one is not None]


def content_at(place: str, name: str) -> bytes | None:
    """A small file of a folder at a path or an address; None where it is not there. Raises as `lying_at`."""
    with explained(place, "looked at"):
        files, root = at(place)
        return _content(files, f"{root}/{name}")


def state_of(place: str) -> str:
    """Text that is another one as soon as a file of the folder at a path or an address is. Raises as `lying_at`."""
    with explained(place, "looked at"):
        files, root = at(place)
        entries = sorted(repr(sorted(entry.items())) for entry in files.ls(root, detail=True))
        return hashlib.sha256("\n".join(entries).encode()).hexdigest()


def _lying(files: Any, root: str, place: str) -> Lying | None:
    manifest = _content(files, f"{root}/{MANIFEST}")
    return None if manifest is None else Lying(place, manifest)


def _content(files: Any, file: str) -> bytes | None:
    try:
        content: bytes = files.cat_file(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return content
