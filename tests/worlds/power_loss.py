"""A disk that loses its power: what would be left of a folder, if that happened after any call that changes it.

Nobody promises more than this: the content of a file is on disk when it was synced, and a name when its folder was.
What was not may be there all the same, in any order. `LAZY` systems have written no name that was not asked for, but
have forgotten what was deleted; `EAGER` ones have written all names, before any content.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LAZY, EAGER = "lazy", "eager"
_CHANGES = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir")


class Disk:
    """Follows what is synced below `root`; what is there at the beginning is on disk.

    `calls` lists what was done, as `rename draft -> run`; random parts of names are left out. `after` is called after
    each of them with a folder of what would be left, for either kind of system.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, after: Callable[[Path], None] = lambda _left: None):
        self.root, self.after = root, after
        self.calls: list[str] = []
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, tuple[int, bool]]] = {}  # by folder, the name, number and kind of what is in it
        self.held: list[int] = []  # a number would be given again once its file is gone
        self.deleted: set[int] = set()
        self.is_looking = False
        for path in (root, *root.rglob("*")):
            self._synced(path)
        for call in _CHANGES:
            patch.setattr(os, call, self._followed(call, getattr(os, call)))

    def left(self, kind: str, into: Path) -> Path:
        """What would be left, in a new folder."""
        into.mkdir(parents=True)
        if kind == LAZY:
            self._restore(self.root.stat().st_ino, into)
        else:
            for path in self.root.rglob("*"):
                target = into / path.relative_to(self.root)
                if path.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(self.contents.get(path.stat().st_ino, b""))
        return into

    def _restore(self, folder: int, into: Path) -> None:
        for name, (inode, is_folder) in self.names.get(folder, {}).items():
            if is_folder:
                (into / name).mkdir()
                self._restore(inode, into / name)
            elif inode not in self.deleted:
                (into / name).write_bytes(self.contents.get(inode, b""))

    def _followed(self, call: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def followed(first: Any, *others: Any, **more: Any) -> Any:
            path = self._path(first, more) if not self.is_looking else None
            if call == "unlink" and path is not None:
                self.held.append(os.open(first, os.O_RDONLY, **more))
                self.deleted.add(os.fstat(self.held[-1]).st_ino)
            result = real(first, *others, **more)
            if path is not None and path.is_relative_to(self.root):
                self._look(call, path, others)
            return result

        return followed

    def _look(self, call: str, path: Path, others: tuple[Any, ...]) -> None:
        self.is_looking = True
        if call == "fsync":
            self._synced(path)
        to = f" -> {self._named(Path(others[0]))}" if call in ("rename", "replace") else ""
        self.calls.append(f"{call} {self._named(path)}{to}")
        for kind in (LAZY, EAGER):
            left = self.left(kind, self.root.with_name(f"{self.root.name}-left"))
            self.after(left)
            shutil.rmtree(left)
        self.is_looking = False

    def _path(self, first: Any, more: dict[str, Any]) -> Path | None:
        if isinstance(first, int):  # fsync
            inode = os.fstat(first).st_ino
            found = (path for path in (self.root, *self.root.rglob("*")) if path.stat().st_ino == inode)
            return next(found, None)
        return Path(first) if more.get("dir_fd") is None else self.root / "what is in a folder" / first

    def _named(self, path: Path) -> str:
        relative = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        return "/".join("draft" if part.startswith(".") and "-" in part else part for part in relative.parts) or "."

    def _synced(self, path: Path) -> None:
        inode, within = path.stat().st_ino, list(path.iterdir()) if path.is_dir() else []
        self.held += [os.open(one, os.O_RDONLY) for one in (path, *within)]
        if path.is_dir():
            self.names[inode] = {one.name: (one.stat().st_ino, one.is_dir()) for one in within}
        else:
            self.contents[inode] = path.read_bytes()

    def close(self) -> None:
        """Let go of all files."""
        for descriptor in self.held:
            os.close(descriptor)
