"""A folder of results, or a file, that appears whole, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nextitem.errors import StorageError


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A draft to be filled, which takes the folder's place, and that of an earlier one, when the block ends.

    Where the block fails nothing has changed. Raises StorageError for what the system refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        before = draft.with_name(f"{draft.name}-before")
        try:
            yield draft
            draft.chmod(0o755)
            if folder.exists():
                folder.rename(before)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error}; free space or choose another --out") from error


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """A name to write to, whose file takes the place of `file` when the block ends; where it fails nothing has changed.

    The system's refusals are the caller's to name: OSError.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(file)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
