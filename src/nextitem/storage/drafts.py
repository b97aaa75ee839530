"""Drafts: what is being written, under a name of its own beside the place where it is to appear.

A draft is held by a lock of the system on the file or folder itself, which ends with the process, however that ends. So
whoever starts can tell what a kill left from what another process is at, and removes the former. Where the system knows
no such locks nothing is removed. Nobody can foresee a draft's name, and one that is taken is never written to.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nextitem.words import shortened

_MOST = 220  # bytes of a place's name in that of its draft, which may have 255
_ATTEMPTS = 10  # at a draft whose name is taken, or that is taken for an abandoned one before it could be held
_DRAFT, _BEFORE = ".draft", ".before"
# Locks may mean nothing between machines that share a disk: of what another machine left nothing is known.
_HERE = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:4]
_NAME = re.compile(rf"\.(.+)-{_HERE}[0-9a-f]{{8}}({_DRAFT}|{_BEFORE})", re.DOTALL)


@contextmanager
def draft_of(place: Path, *, is_folder: bool) -> Iterator[Path]:
    """A new and empty file or folder beside `place`, gone when the block ends unless it was renamed. Raises OSError.

    What dead processes left in that folder is put right first, as by `tidy`.
    """
    tidy(place.parent)
    draft, descriptor = _made(place, is_folder=is_folder)
    try:
        yield draft
    finally:
        _removed(draft)
        os.close(descriptor)


def before_of(draft: Path) -> Path:
    """The name that what a draft replaces has until the draft is on disk."""
    return draft.with_name(draft.name.removesuffix(_DRAFT) + _BEFORE)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Say of what is about to be called otherwise that a living process is at it, where it is there and can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def tidy(folder: Path) -> None:
    """Put right what processes left in a folder that were ended while they wrote.

    Drafts go, and so does what was replaced; where the new one has not taken its name yet, the earlier one has it
    again.
    What a living process holds stays, and so does what resists: it is in nobody's way.
    """
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if (found := _NAME.fullmatch(path.name)) and not path.is_symlink():
                with suppress(OSError):
                    _put_right(path, folder / found[1], is_earlier=found[2] == _BEFORE)


def _put_right(path: Path, place: Path, *, is_earlier: bool) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not _lock(descriptor, unknown=False):
            return
        if not is_earlier or os.path.lexists(place):
            _removed(path)
        elif len(os.fsencode(place.name)) < _MOST:  # else the name may be cut
            path.rename(place)
    finally:
        os.close(descriptor)


def _made(place: Path, *, is_folder: bool) -> tuple[Path, int]:
    """A draft, and the descriptor that holds it."""
    for _ in range(_ATTEMPTS):
        draft = place.with_name(f".{shortened(place.name, _MOST)}-{_HERE}{secrets.token_hex(4)}{_DRAFT}")
        try:
            descriptor = _folder(draft) if is_folder else os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        # Another process may have taken it for abandoned in this moment.
        if _lock(descriptor) and draft.exists():
            return draft, descriptor
        os.close(descriptor)
    raise FileExistsError(errno.EEXIST, "every draft of it was taken", str(place))


def _folder(draft: Path) -> int:
    """A new folder, opened."""
    draft.mkdir()
    try:
        return os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except BaseException:
        _removed(draft)
        raise


def _lock(descriptor: int, *, unknown: bool = True) -> bool:
    """Hold what is open, until that is closed; False where another does, `unknown` where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return unknown
    return True


def _removed(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
