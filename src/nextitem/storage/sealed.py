"""Folders that prove their own content: a manifest has the size and the fingerprint of every other file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator

from nextitem.errors import ArtefactError
from nextitem.settings.configuration import Configuration


def sha256(file: Path) -> str:
    """Fingerprint of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


MANIFEST = "manifest.json"


def _plain(name: str) -> str:
    if Path(name).name != name or name in ("", "..", MANIFEST) or "\0" in name:
        raise ValueError(f"{name!r} should be the plain name of a file in the folder")
    return name


class FileFacts(Configuration):
    """What proves a file."""

    bytes: int
    sha256: str


class Manifest(Configuration):
    """What a folder says of itself: its kind, and all files but this one; a kind of folders may add what it knows."""

    format: str
    version: int
    files: Mapping[Annotated[str, AfterValidator(_plain)], FileFacts]


M = TypeVar("M", bound=Manifest)


@dataclass(frozen=True)
class Kind(Generic[M]):
    """A kind of folders that prove their own content, and the words for it."""

    noun: str
    """Such as `run`; the manifest says `nextitem run`."""
    version: int
    """The one that is written, and the only one that is read."""
    whence: str
    anew: str
    manifest: type[M]

    def seal(self, folder: Path, **known: Any) -> None:
        """Write the manifest of a folder: what proves each file in it, and what else is `known`."""
        names = sorted({one.name for one in folder.iterdir()} - {MANIFEST})
        files = {name: FileFacts(bytes=(folder / name).stat().st_size, sha256=sha256(folder / name)) for name in names}
        manifest = self.manifest(format=f"nextitem {self.noun}", version=self.version, files=files, **known)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def read(self, folder: Path) -> "Sealed[M]":
        """A folder of this kind, nothing of it read but the manifest. Raises ArtefactError."""
        if not (folder / MANIFEST).is_file():
            raise self._foreign(folder, f": it has no {MANIFEST}")
        try:
            text = (folder / MANIFEST).read_text(encoding="utf-8")
            tree = json.loads(text)
            if (found := str(tree.get("format", self.noun)).removeprefix("nextitem ")) != self.noun:
                raise self._foreign(folder, f" but a {found}")
            if (version := tree.get("version", 1)) != self.version:  # the first manifests named none
                age = "an older" if version < self.version else "a newer"
                raise ArtefactError(
                    f"{folder} is a {self.noun} of {age} format: it has version {version}, and this nextitem reads "
                    f"version {self.version}; {self.anew} with this one"
                )
            return Sealed(folder, self, self.manifest.model_validate_json(text))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise self.unreadable(folder, error) from error

    def unreadable(self, folder: Path, fact: object) -> ArtefactError:
        """What to say of a folder whose content is not what it must be."""
        return ArtefactError(f"{folder} cannot be read as a {self.noun}: {fact}; restore it or {self.anew}")

    def _foreign(self, folder: Path, fact: str) -> ArtefactError:
        return ArtefactError(f"{folder} is not a {self.noun}{fact}; give a folder that {self.whence}")


@dataclass(frozen=True)
class Sealed(Generic[M]):
    """A folder with a manifest. What is asked for is there and as it was written, or ArtefactError is raised."""

    folder: Path
    kind: Kind[M]
    manifest: M
    proven: set[str] = field(default_factory=set)

    def file(self, name: str) -> Path:
        """A file whose content is that of the manifest; it is read to find out, once."""
        if name not in self.proven:
            if name not in self.manifest.files:
                raise self.kind.unreadable(self.folder, f"its {MANIFEST} names no {name}")
            try:
                found = sha256(self.folder / name)
            except OSError as error:
                raise self.kind.unreadable(self.folder, error) from error
            if found != self.manifest.files[name].sha256:
                raise ArtefactError(
                    f"{self.folder / name} was altered: its sha256 is not the one in {MANIFEST}; {self.kind.anew}"
                )
            self.proven.add(name)
        return self.folder / name

    def prove(self, *names: str) -> None:
        """Compare these files with the manifest, or all."""
        for name in names or self.manifest.files:
            self.file(name)
