"""The path of a file of events: what has to lie there, and which files a pattern stands for."""

import difflib
import re
from pathlib import Path

from nextitem.errors import DataError, StorageError
from nextitem.settings.given import expanded
from nextitem.storage.places import A_FILE, A_FOLDER, DANGLING, is_file, is_folder, what_is_at


def require_file(file: Path, of: str = "events") -> None:
    """Raise DataError where no regular file `of` something is at a path, StorageError where one may not look."""
    kind = what_is_at(file)
    if kind == A_FILE:
        return
    if kind is None:
        raise DataError(f"there is no file {file}; {_near(file)}")
    if kind == A_FOLDER:
        raise DataError(f"{file} is a folder; name one file in it")
    if kind == DANGLING:
        raise DataError(f"{file} is a link to nothing: there is no {_target(file)}; correct the link or give the file")
    raise DataError(f"{file} is {kind}, and {of} are read from files alone; write them into one")


def files_of(source: str) -> list[str]:
    """The file of that name or, where there is none, the files that `*` in it stands for, in the order of their names.

    All other characters are themselves. Raises DataError where no file fits, StorageError where one may not look.
    """
    path = expanded(source)
    if "*" not in path.name or what_is_at(path) is not None:
        return [str(path)]
    fits = re.compile(".*".join(map(re.escape, path.name.split("*"))), re.DOTALL).fullmatch
    names = _names(path.parent) if is_folder(path.parent) else []
    files = sorted(str(path.parent / name) for name in names if fits(name) and is_file(path.parent / name))
    if not files:
        raise DataError(f"no file fits the pattern {source}; check the path")
    return files


def _near(file: Path) -> str:
    if not is_folder(file.parent):
        return f"nor is there a folder {file.parent}; check the path"
    if "*" in file.name:
        return f"several files are one log for `nextitem prepare '{file}'`"
    names = _names(file.parent)
    near = [repr(name) for name in difflib.get_close_matches(file.name, names)]
    return f"did you mean {' or '.join(near)}?" if near else f"none of the {len(names):,} names beside it is similar"


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}; correct its permissions") from error


def _target(link: Path) -> str:
    return repr(str(link.readlink())) if link.is_symlink() else repr(str(link))
