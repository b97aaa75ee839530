"""What lies at a path, where that may be looked at."""

import errno
import stat
from pathlib import Path

from nextitem.errors import StorageError

A_FILE, A_FOLDER, DANGLING = "a file", "a folder", "a link to nothing"
_KINDS = {
    stat.S_ISREG: A_FILE,
    stat.S_ISDIR: A_FOLDER,
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}
_IS_NO_NAME = (errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)
NO_NAME = (*_IS_NO_NAME, errno.ENOENT, errno.ELOOP)
"""What the system answers where nothing is at a path."""


def what_is_at(path: Path) -> str | None:
    """`A_FILE`, `A_FOLDER`, `DANGLING` or another kind in words, of what a link leads to; None where nothing is.

    Raises StorageError where the system does not let one look, which `Path.exists` and its like raise as they come.

    >>> what_is_at(Path("/"))
    'a folder'
    """
    try:
        mode = path.stat().st_mode
    except ValueError:  # a NUL, which is part of no name
        return None
    except OSError as error:
        if error.errno in _IS_NO_NAME:
            return None
        if error.errno in (errno.ENOENT, errno.ELOOP):  # the second where links lead to each other
            return DANGLING if path.is_symlink() else None
        reason = f"{error.strerror}; correct the permissions of the folders that it is in"
        raise StorageError(f"{path} cannot be looked at: {reason}") from error
    return kind_of(mode)


def kind_of(mode: int) -> str:
    """What the system calls so, as `what_is_at` says it."""
    return next((words for is_kind, words in _KINDS.items() if is_kind(mode)), "something else")


def is_file(path: Path) -> bool:
    """Whether a regular file is at a path. Raises as `what_is_at`."""
    return what_is_at(path) == A_FILE


def is_folder(path: Path) -> bool:
    """Whether a folder is at a path. Raises as `what_is_at`."""
    return what_is_at(path) == A_FOLDER
