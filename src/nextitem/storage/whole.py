"""Files and folders that appear whole, and stay.

What is to appear is a draft first, beside its place. Every file and folder of it is put on disk, then it takes its name
by one rename, and then that name is put on disk. A process that is killed or a machine that loses its power leaves the
earlier content or the new one, never a part of it; whatever the new one replaces may be deleted as soon as it is there.
What the system refuses on the way leaves what was there before.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nextitem.errors import ConfigurationError
from nextitem.settings.given import expanded
from nextitem.storage.contents import naming, refusals
from nextitem.storage.drafts import before_of, draft_of, held

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)  # what a folder answers that is not synced by its system
# The same of second names: also of a file that belongs to somebody else, or that has as many as there may be.
_CANNOT_LINK = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EACCES, errno.EMLINK)

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)  # what a rename meets where another one came between
_ATTEMPTS = 10


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """A name to write to, whose content is that of `file` when the block ends; where it fails nothing has changed.

    Of a link, that is the file it leads to. A device or a pipe is written to as it is. The system's refusals are the
    caller's to name: OSError.
    """
    file = expanded(file)
    if file.is_dir():  # also what has no name of its own, such as . and /
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if _is_stream(file):
        yield file
        return
    with draft_of(target := _followed(file), is_folder=False) as draft:
        permissions = draft.stat().st_mode
        yield draft
        draft.chmod(permissions)  # some writers make a file anew, which its owner alone can read
        sync(draft)
        _replace(draft, target)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A draft to fill, which is `folder` when the block ends; where it fails nothing has changed.

    With `replace` an earlier folder of that name is there until the new one is on disk. Without, raises
    ConfigurationError where the name is taken. Raises StorageError for what the system refuses.
    """
    folder = expanded(folder)
    if os.path.lexists(folder) and not (replace and folder.is_dir()):
        raise ConfigurationError(f"{folder} exists already; remove it, or choose another --out")
    with refusals(folder):
        target = _followed(folder)
        made = make_folder(target.parent)
        try:
            with draft_of(target, is_folder=True) as draft:
                yield draft
                if replace:
                    _exchange(draft, target)
                else:
                    publish(draft, [target])
        except BaseException:
            leave(made)
            raise


@contextmanager
def empty_folder(draft: Path) -> Iterator[Path]:
    """A folder to fill, empty whatever a kill left there, and gone when the block ends. Raises OSError."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def move_into(draft: Path, files: Iterable[Path]) -> None:
    """Make finished files part of a draft, under their own names and without copying them. Raises OSError."""
    for file in files:
        file.rename(draft / file.name)


def publish(draft: Path, names: Iterable[Path]) -> Path:
    """Put a draft on disk under the first of `names` that is not taken, and return that name.

    Raises OSError; then it is a draft still.
    """
    settle(draft)
    for name in names:
        try:
            draft.rename(name)
        except OSError:
            # Asked after the attempt: two that end together would find the same name free.
            if not os.path.lexists(name):
                raise
        else:
            try:
                sync(name.parent)
            except BaseException:
                name.rename(draft)
                raise
            return name
    raise FileExistsError(f"all names for {draft} are taken")


def settle(draft: Path) -> None:
    """Put all of a draft on disk, with the permissions that the umask gave the folder. Raises OSError."""
    permissions = draft.stat().st_mode & 0o666
    for path in sorted(draft.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_file():
            path.chmod(permissions)
        sync(path)
    sync(draft)


def make_folder(folder: Path) -> list[Path]:
    """A folder that is there, and on disk with all that had to be made for it; these, the innermost first.

    Raises OSError; then nothing was made.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
        for one in missing:
            sync(one.parent)
    except BaseException:
        leave(missing)
        raise
    return missing


def leave(made: Iterable[Path]) -> None:
    """Take folders away again, the innermost first, as far as nobody has put anything into them."""
    for one in made:
        with suppress(OSError):
            one.rmdir()


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, would survive a loss of power. Raises OSError."""
    with naming(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if not (path.is_dir() and error.errno in _CANNOT_SYNC):
                raise
        finally:
            os.close(descriptor)


def _is_stream(file: Path) -> bool:
    """Whether a name stands for something that content goes through and does not stay in."""
    try:
        kind = stat.S_IFMT(file.stat().st_mode)
    except OSError:
        return False
    return kind not in (stat.S_IFREG, stat.S_IFDIR)


def _followed(path: Path) -> Path:
    """Where a link leads to, whether that is there or not; without links the path itself. Raises OSError."""
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return target


def _replace(draft: Path, file: Path) -> None:
    """Give a draft the name of a file; an earlier file has it again where that cannot be put on disk."""
    before, is_there = before_of(draft), file.exists()
    with held(file):
        try:
            if is_there:
                _keep(file, before)
            draft.replace(file)
            try:
                sync(file.parent)
            except BaseException:
                if before.exists():
                    before.replace(file)
                elif not is_there:
                    file.rename(draft)
                raise
        finally:
            with suppress(OSError):
                before.unlink(missing_ok=True)


def _keep(file: Path, before: Path) -> None:
    """Give a file a second name, where its system has such names; else it cannot be had back. Raises OSError."""
    try:
        before.hardlink_to(file)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise


def _exchange(draft: Path, folder: Path) -> None:
    """As `publish`, a folder of that name being deleted at last; where anything fails it has its name again."""
    settle(draft)
    for _ in range(_ATTEMPTS):
        try:
            return _exchanged(draft, folder)
        except OSError as error:
            # Another process put its folder there, or took the earlier one away: that one is replaced by this.
            if error.errno not in _TAKEN or not draft.exists():
                raise
    raise FileExistsError(errno.EEXIST, "other processes write to the same place all the time", str(folder))


def _exchanged(draft: Path, folder: Path) -> None:
    before = before_of(draft)
    with held(folder):
        try:
            if folder.exists():
                folder.rename(before)
            draft.rename(folder)
            sync(folder.parent)
        except BaseException:
            if not draft.exists():
                folder.rename(draft)
            if before.exists() and not os.path.lexists(folder):
                before.rename(folder)
            shutil.rmtree(before, ignore_errors=True)
            raise
        shutil.rmtree(before, ignore_errors=True)
