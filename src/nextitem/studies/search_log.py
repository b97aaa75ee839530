"""What a search keeps of its trials: lines of JSON that Optuna appends, and what proves those that have ended."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from nextitem.errors import ArtefactError, NextitemError
from nextitem.settings.configuration import Configuration
from nextitem.storage import SHA256, content_of, opened, parsed, refusals, whole_file, write_text

_SEAL = ".sealed.json"
_BROKEN = (ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError)  # by what Optuna understands it


class _Seal(Configuration):
    """What proves the beginning of a file; what follows was appended since."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=SHA256)


def seal(file: Path) -> None:
    """Write down what proves the content that a file has now. Raises StorageError."""
    with refusals(file.with_suffix(_SEAL)):
        with opened(file) as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            facts = _Seal(bytes=content.tell(), sha256=digest)
        with whole_file(file.with_suffix(_SEAL)) as draft:
            write_text(draft, facts.model_dump_json())


def check(file: Path) -> None:
    """Raise ArtefactError where what was sealed of a file is not what it begins with; one that is not there is new."""
    try:
        if not _is_there(file.with_suffix(_SEAL)):
            if _is_there(file):  # a search that was stopped before its first trial ended
                opened(file).close()
            return
        facts = parsed(_Seal, content_of(file.with_suffix(_SEAL)))
        with opened(file) as content:
            begins = content.read(facts.bytes)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    if (len(begins), hashlib.sha256(begins).hexdigest()) != (facts.bytes, facts.sha256):
        raise ArtefactError(f"{file} was altered: its sha256 is not the one in {file.stem}{_SEAL}; {_REMEDY}")


@contextmanager
def understood(file: Path) -> Iterator[None]:
    """Inside the block, what is no log of trials is an ArtefactError."""
    try:
        yield
    except NextitemError:
        raise
    except _BROKEN as error:
        raise _unreadable(file, f"{type(error).__name__}: {error}") from error


_REMEDY = "restore it, or choose another --out"


def _is_there(file: Path) -> bool:
    return file.is_symlink() or file.exists()


def _unreadable(file: Path, fact: object) -> ArtefactError:
    return ArtefactError(f"{file} cannot be read as the trials of a search: {fact}; {_REMEDY}")
