"""Folders that prove their own content: a manifest has the size and the fingerprint of every other file.

What the manifest does not name is not used, and nothing is used before it was compared with it.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nextitem.errors import ArtefactError, StorageError
from nextitem.settings.configuration import Configuration
from nextitem.storage.contents import write_text
from nextitem.storage.drafts import tidy
from nextitem.storage.opened import SHA256, cannot_read, content_of, opened, parsed, sha256
from nextitem.storage.places import NO_NAME
from nextitem.words import counted

MANIFEST = "manifest.json"
_NAMED = 5  # folders in a message
_UNNAMED = f"is not named by {MANIFEST}"


def _plain(name: str) -> str:
    if Path(name).name != name or name in ("", "..", MANIFEST) or "\0" in name:
        raise ValueError(f"{name!r} should be the plain name of a file in the folder")
    return name


Named = Annotated[str, AfterValidator(_plain)]
"""The plain name of a file in a folder with a manifest."""


class FileFacts(Configuration):
    """What proves a file."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=SHA256)


class Manifest(Configuration):
    """What a folder says of itself: its kind, and all files but this one; a kind of folders may add what it knows."""

    format: str
    version: int
    files: dict[Named, FileFacts]


class _Head(BaseModel):
    """What the manifest of any kind and version says."""

    model_config: ClassVar[ConfigDict] = {"strict": True}

    format: str | None = None
    version: int = 1  # the first manifests named none


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
        write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")

    def read(self, folder: Path) -> "Sealed[M]":
        """A folder of this kind, nothing of it read but the manifest.

        Where a kill left the earlier folder under another name, it has its own again. Raises ArtefactError, and
        StorageError where the system does not let one read it.
        """
        if not os.path.lexists(folder):
            tidy(folder.absolute().parent)
        try:
            content = content_of(folder / MANIFEST)
            self._check(folder, parsed(_Head, content))
            return Sealed(folder, self, parsed(self.manifest, content))
        except OSError as error:
            if error.errno in NO_NAME:
                raise self._foreign(folder, f": it has no {MANIFEST}{self._inside(folder)}") from error
            raise cannot_read(folder / MANIFEST, error) from error
        except ValueError as error:
            raise self.unreadable(folder, f"{MANIFEST}: {error}") from error

    def _check(self, folder: Path, head: _Head) -> None:
        """Raises ArtefactError for a folder of another kind or version."""
        found = self.noun if head.format is None else head.format.removeprefix("nextitem ")
        if found != self.noun:
            raise self._foreign(folder, f" but a {found}" if re.fullmatch("[a-z ]{1,40}", found) else "")
        if head.version != self.version:
            age = "an older" if head.version < self.version else "a newer"
            raise ArtefactError(
                f"{folder} is a {self.noun} of {age} format: it has version {head.version}, and this nextitem reads "
                f"version {self.version}; {self.anew} with this one"
            )

    def unreadable(self, folder: Path, fact: object) -> ArtefactError:
        """What to say of a folder whose content is not what it must be."""
        return ArtefactError(f"{folder} cannot be read as a {self.noun}: {fact}; restore it or {self.anew}")

    def _foreign(self, folder: Path, fact: str) -> ArtefactError:
        return ArtefactError(f"{folder} is not a {self.noun}{fact}; give a folder that {self.whence}")

    def _inside(self, folder: Path) -> str:
        """The folders of this kind in one that is none, for whoever meant one of them; nothing where there are none."""
        try:
            found = sorted(one.name for one in folder.iterdir() if self._is_at(one))
        except OSError:  # the folder itself may be missing, or be a file
            return ""
        named = f"{', '.join(found[-_NAMED:])}{f' and {len(found) - _NAMED:,} more' if len(found) > _NAMED else ''}"
        return f", but {counted(len(found), self.noun)} in it ({named})" if found else ""

    def _is_at(self, folder: Path) -> bool:
        try:
            return parsed(_Head, content_of(folder / MANIFEST)).format == f"nextitem {self.noun}"
        except (OSError, ValueError):
            return False


@dataclass(frozen=True)
class Sealed(Generic[M]):
    """A folder with a manifest. What is asked for is there and as it was written, or ArtefactError is raised.

    What the system does not let one read may be as it was written: that is a StorageError.
    """

    folder: Path
    kind: Kind[M]
    manifest: M
    proven: set[str] = field(default_factory=set)

    def named(self, name: str) -> None:
        """Raise ArtefactError for a file that the manifest does not name."""
        if name not in self.manifest.files:
            self._without(_UNNAMED, name)

    def sized(self, name: str) -> Path:
        """A file of as many bytes as the manifest says; nothing of it is read."""
        content, fault = self._at(name)
        if content is not None:
            content.close()
        return self._without(fault, name)

    def file(self, name: str) -> Path:
        """A file whose content is that of the manifest; it is read to find out, once."""
        return self._without(self._altered(name), name)

    def prove(self, *names: str) -> None:
        """Compare these files with the manifest, or all."""
        for name in names or self.manifest.files:
            self.file(name)

    def copy(self, draft: Path, without: Collection[str] = ()) -> None:
        """Put the manifest and the files, or all but some, into another folder, as it has them. Raises OSError too."""
        for name in self.manifest.files.keys() - {*without}:
            shutil.copyfile(self.file(name), draft / name)
        write_text(draft / MANIFEST, self.manifest.model_dump_json(indent=2) + "\n")

    def fault(self, name: str) -> str | None:
        """What is wrong with a file, to be read after its name; None where its content is that of the manifest."""
        try:
            return self._altered(name)
        except StorageError as error:
            return f"cannot be read: {error.__cause__}"

    def _altered(self, name: str) -> str | None:
        """As `fault`. Raises StorageError."""
        if name in self.proven:
            return None
        content, fault = self._at(name)
        if content is None:
            return fault
        with content:
            try:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError as error:
                raise cannot_read(self.folder / name, error) from error
        if found != self.manifest.files[name].sha256:
            return f"was altered: its sha256 is not the one in {MANIFEST}"
        self.proven.add(name)
        return None

    def _at(self, name: str) -> tuple[BufferedReader | None, str | None]:
        """A file of the size that the manifest says, or what is wrong with it."""
        if name not in self.manifest.files:
            return None, _UNNAMED
        try:
            content = opened(self.folder / name)
        except OSError as error:
            if error.errno in NO_NAME:
                return None, "is missing"
            raise cannot_read(self.folder / name, error) from error
        except ValueError as error:
            return None, f"cannot be read: {error}"
        found, said = os.fstat(content.fileno()).st_size, self.manifest.files[name].bytes
        if found != said:
            content.close()
            return None, f"was altered: it has {found:,} bytes and {MANIFEST} says {said:,}"
        return content, None

    def _without(self, fault: str | None, name: str) -> Path:
        if fault is not None:
            raise ArtefactError(f"{self.folder / name} {fault}; restore it or {self.kind.anew}")
        return self.folder / name
