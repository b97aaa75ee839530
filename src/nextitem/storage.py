"""Files and folders that appear whole, and stay; what proves them later; and a folder that one process works in.

What is to appear is a draft first, beside its place. Every file and folder of it is put on disk, then it takes its name
by one rename, and then that name is put on disk. A process that is killed or a machine that loses its power leaves the
earlier content or the new one, never a part of it; whatever the new one replaces may be deleted as soon as it is there.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator

from nextitem.errors import ArtefactError, ConfigurationError, StorageError
from nextitem.settings.configuration import Configuration

_ATTEMPTS = 10  # at a folder that whoever had it before takes away in the same moment
_LOCK = ".lock"
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)  # what a folder answers that is not synced by its system


@contextmanager
def whole_file(file: Path, draft: Path | None = None) -> Iterator[Path]:
    """A name to write to, whose content is that of `file` when the block ends; where it fails nothing has changed.

    `draft` is that name, for a folder that one process works in: what was left there by a kill is written over. The
    system's refusals are the caller's to name: OSError.
    """
    draft = draft or _beside(file)
    try:
        draft.unlink(missing_ok=True)
        draft.touch()
        permissions = draft.stat().st_mode
        yield draft
        draft.chmod(permissions)  # some writers make a file anew, which its owner alone can read
        _sync(draft)
        draft.replace(file)
        _sync(file.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A draft to fill, which is `folder` when the block ends; where it fails nothing has changed.

    With `replace` an earlier folder of that name is there until the new one is on disk. Without, raises
    ConfigurationError where the name is taken. Raises StorageError for what the system refuses.
    """
    if not replace and folder.exists():
        raise ConfigurationError(f"{folder} exists already; remove it, or choose another --out")
    try:
        make_folder(folder.parent)
        with empty_folder(_beside(folder)) as draft:
            yield draft
            if replace:
                _exchange(draft, folder)
            else:
                publish(draft, [folder])
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error}; free space or choose another --out") from error


@contextmanager
def empty_folder(draft: Path) -> Iterator[Path]:
    """A folder to fill, empty whatever a kill left there, and gone when the block ends. Raises OSError."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def publish(draft: Path, names: Iterable[Path]) -> Path:
    """Put a draft on disk under the first of `names` that is not taken, and return that name. Raises OSError."""
    settle(draft)
    for name in names:
        try:
            draft.rename(name)
        except OSError:
            # Asked after the attempt: two that end together would find the same name free.
            if not name.exists():
                raise
        else:
            _sync(name.parent)
            return name
    raise FileExistsError(f"all names for {draft} are taken")


def settle(draft: Path) -> None:
    """Put all of a draft on disk, with the permissions that the umask gave the folder. Raises OSError."""
    permissions = draft.stat().st_mode & 0o666
    for path in sorted(draft.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_file():
            path.chmod(permissions)
        _sync(path)
    _sync(draft)


def make_folder(folder: Path) -> None:
    """A folder that is there, and on disk with all that had to be made above it. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _sync(one.parent)


def _beside(path: Path) -> Path:
    """A name in the same folder that nobody else has."""
    return path.with_name(f".{path.name}-{secrets.token_hex(4)}")


def _sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, would survive a loss of power."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in _CANNOT_SYNC):
            raise


def _exchange(draft: Path, folder: Path) -> None:
    """As `publish`, a folder of that name being deleted at last; where anything fails it has its name still."""
    settle(draft)
    before = draft.with_name(f"{draft.name}-before")
    try:
        if folder.exists():
            folder.rename(before)
        draft.rename(folder)
    except BaseException:
        if before.exists() and not folder.exists():
            before.rename(folder)
        raise
    _sync(folder.parent)
    shutil.rmtree(before, ignore_errors=True)


@contextmanager
def alone_in(folder: Path, doing: str) -> Iterator[None]:
    """Hold a folder against other processes; it is made where it is not there, and gone again where it stays empty.

    Raises ConfigurationError where another process holds it: it is `doing` the same. StorageError where the folder
    cannot be made. A process that dies holds nothing any more.
    """
    # Here, because it takes ten milliseconds to import, and only what trains or searches has to be alone.
    from filelock import Timeout

    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        unlock = _locked(folder)
    except Timeout:
        raise ConfigurationError(f"another process {doing} in {folder}; wait for it, or choose another --out") from None
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error}; choose another --out") from error
    try:
        yield
    finally:
        with suppress(OSError):  # the first that holds something stays, and so do those it is in
            (folder / _LOCK).unlink(missing_ok=True)  # while it is held: who opened it meanwhile sees it has no name
            for one in dict.fromkeys((folder, *made)):
                one.rmdir()
        unlock()


def clear(folder: Path) -> None:
    """Delete all that is in a folder, but not what keeps it for who is `alone_in` it; what resists stays."""
    for path in folder.glob("*"):
        if path.name != _LOCK:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _locked(folder: Path) -> Callable[[], object]:
    """Lock a folder; what unlocks it. Raises filelock.Timeout where another holds it."""
    from filelock import FileLock, Timeout

    file = folder / _LOCK
    for _ in range(_ATTEMPTS):
        lock = FileLock(file)
        try:
            make_folder(folder)
            lock.acquire(blocking=False)
        except FileNotFoundError:
            continue  # the folder went away between the two; whoever has made it again since may hold it
        except Timeout:
            if file.exists():
                raise
        else:
            return lock.release
    raise Timeout(str(file))


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
