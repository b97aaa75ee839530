"""The path of a file of events: what has to lie there, and which files a pattern stands for."""

import difflib
import re
from pathlib import Path

from nextitem.errors import DataError, StorageError
from nextitem.settings.given import expanded
from nextitem.storage.places import A_FILE, A_FOLDER, DANGLING, is_file, is_folder, what_is_at

_UNSEEN = (".", "_")  # what tools put beside their files: _SUCCESS, .part-0.crc


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


def files_of(source: Path | str) -> list[Path]:
    """The file of that name, or those that are one log, in the order of their names.

    Those are the files in a folder, but for names that begin with `.` or `_`; or, where nothing is called so, the files
    that `*` in a path stands for, which is no `/`. All other characters are themselves. Folders in it that are called
    `name=value`, by which engines partition a table, are part of it; the value is no column. Raises DataError where
    there is none, and for a folder with other folders in it; StorageError where one may not look.
    """
    path = expanded(source)
    kind = what_is_at(path)
    if kind == A_FOLDER:
        return _files_in(path)
    if kind is not None or "*" not in str(path):
        return [path]
    found = [Path(path.anchor)]
    for part in path.parts[1 if path.anchor else 0 :]:
        found = [fitting for folder in found for fitting in _fitting(folder, part)]
    files = sorted(file for file in found if is_file(file))
    if not files:
        raise DataError(f"no file fits the pattern {source}; check the path")
    return files


def _fitting(folder: Path, part: str) -> list[Path]:
    if "*" not in part:
        return [folder / part]
    fits = re.compile(".*".join(map(re.escape, part.split("*"))), re.DOTALL).fullmatch
    return [folder / name for name in _names(folder) if fits(name)] if is_folder(folder) else []


def _files_in(folder: Path) -> list[Path]:
    seen = sorted(folder / name for name in _names(folder) if not name.startswith(_UNSEEN))
    if not seen:
        raise DataError(f"{folder} is a folder without files; give a file of events, or a folder of such files")
    found = list[Path]()
    for place in seen:
        if not is_folder(place):
            found.append(place)
        elif "=" in place.name:
            found += _files_in(place)
        else:
            raise DataError(
                f"{folder} is a folder with a folder in it, {place.name}; name the files that are one log by a "
                f"pattern, such as '{folder}/*/*.parquet'"
            )
    return found


def _near(file: Path) -> str:
    if not is_folder(file.parent):
        return f"nor is there a folder {file.parent}; check the path"
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
