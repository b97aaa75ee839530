"""What a program gives where a list, a number, a word or a folder is meant: whatever plainly is one, and nothing else.

A text is no list of its letters, True is no number, and a generator is read once. Arrays, series and frames of other
libraries are known by their methods; none of these libraries is imported here. Everything raises ConfigurationError,
which names the argument and says what it should be.
"""

import math
import operator
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, SupportsFloat, SupportsIndex, TypeVar, runtime_checkable

from nextitem.errors import ConfigurationError
from nextitem.settings.suggestion import suggest

T = TypeVar("T")


@runtime_checkable
class _Array(Protocol):
    """An array of numpy, torch or pyarrow, or a series of pandas."""

    def tolist(self) -> Any:
        """Its values as Python's own: those of an array without dimensions are one value."""


@runtime_checkable
class _Chunks(Protocol):
    """Arrays of pyarrow, one after another."""

    def to_pylist(self) -> Any:
        """Their values as Python's own."""


@runtime_checkable
class _Frame(Protocol):
    """A frame of pandas or polars, or a table of pyarrow."""

    columns: Any
    shape: Any

    def __getitem__(self, name: Any) -> Any:
        """A column, by its name."""


@runtime_checkable
class _Table(Protocol):
    """A table of pyarrow, which iterates over nothing and calls its columns otherwise."""

    column_names: list[str]


def listed(values: object, name: str, *, ordered: bool = True) -> list[Any]:
    """The elements of a list, tuple, generator, array, series, or frame of one column, as Python's own values.

    Of arrays with more dimensions the elements are lists. A text, a table, one value alone and, where the order counts,
    a set are refused.
    """
    if type(values) is list or type(values) is tuple:  # nothing to ask, and asking takes longer than all the rest
        return list(values)
    if isinstance(values, str | bytes | bytearray):
        raise ConfigurationError(f"{name}={told(values)} is a text, where a list is meant; write {name}=[{values!r}]")
    if isinstance(values, Mapping):
        raise ConfigurationError(f"{name} is {told(values)}, where a list is meant; give its keys or its values")
    if isinstance(values, set | frozenset) and ordered:
        raise ConfigurationError(f"{name} is {told(values)}, which has no order; give a list, such as sorted({name})")
    is_frame = isinstance(values, _Frame) and not isinstance(values, _Array)
    found = _only_column(values, name) if is_frame else values
    if isinstance(found, _Array):
        found = found.tolist()
    elif isinstance(found, _Chunks):
        found = found.to_pylist()
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        raise ConfigurationError(f"{name}={told(values)} is one value, where a list is meant; write {name}=[…]")
    return list(found)


def column_names(frame: object) -> list[str]:
    """The names of a frame's columns; none of whatever is no frame."""
    if isinstance(frame, _Table):
        return [*frame.column_names]
    return [str(name) for name in frame.columns] if isinstance(frame, _Frame) else []


def _only_column(frame: Any, name: str) -> object:
    names = column_names(frame)
    if len(names) != 1:
        listing = ", ".join(map(repr, names[:10])) or "none at all"
        raise ConfigurationError(
            f"{name} is a frame of {len(names):,} columns ({listing}), where a list is meant; choose one of its columns"
        )
    return frame[names[0]]


def whole_number(value: object, name: str, meaning: str, least: int = 0, most: int | None = None) -> int:
    """A whole number of any library, within its bounds; neither True nor 3.0 nor a text is one.

    >>> whole_number(3, "k", "the number of recommendations", least=1)
    3
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise ConfigurationError(f"{name}={told(value)}: {meaning} must be a whole number")
    try:
        number = operator.index(value)
    except TypeError:  # an array of several numbers, or of others
        raise ConfigurationError(f"{name}={told(value)}: {meaning} must be a whole number") from None
    if number < least or (most is not None and number > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigurationError(f"{name}={number}: {meaning} must be {bounds}")
    return number


def seed_number(value: object, name: str = "seed") -> int:
    """A seed: a whole number from 0 to 2⁶⁴ − 1."""
    return whole_number(value, name, "a seed", most=2**64 - 1)


def real_number(value: object, name: str, meaning: str) -> float:
    """A finite number of any library, whole ones as they are; neither True nor a text is one."""
    if not isinstance(value, bool | str | bytes):
        if isinstance(value, SupportsIndex):
            return whole_number(value, name, meaning, least=-(2**63), most=2**63 - 1)
        if isinstance(value, SupportsFloat) and math.isfinite(number := float(value)):
            return number
    raise ConfigurationError(f"{name}={told(value)}: {meaning} must be a finite number")


def yes_or_no(value: object, name: str) -> bool:
    """True or False, and nothing that merely counts as one of them."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}={told(value)} should be True or False")
    return value


def word_of(value: object, name: str, words: Iterable[str]) -> str:
    """One of the words that there are to choose from."""
    known = [*words]
    if not isinstance(value, str) or value not in known:
        raise ConfigurationError(f"{name}={told(value)}: {suggest(str(value), known)}")
    return value


def texts(values: object, name: str, *, ordered: bool = True) -> list[str]:
    """A list of texts, such as names of metrics or overrides."""
    found = listed(values, name, ordered=ordered)
    for place, text in enumerate(found):
        if not isinstance(text, str):
            raise ConfigurationError(f"{name}[{place}]={told(text)} should be a text")
    return found


def path_of(value: object, name: str) -> Path:
    """A file or folder by its name, as text or as a path, with the home folder for a leading `~`."""
    if isinstance(value, str | os.PathLike) and isinstance(path := os.fspath(value), str):
        return expanded(path)
    raise ConfigurationError(f"{name}={told(value)} should be the name of a file or folder, as text or as a Path")


def expanded(path: Path | str) -> Path:
    """A path with the home folder for a leading `~`, which shells leave to programs in `--out=~/x`, and so does Python.

    Raises ConfigurationError where it is not known where that home is.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(f"{path}: it is not known where that home folder is; write the path out") from error


def is_address(place: str) -> bool:
    """Whether a place is said by an address, and is no path of this machine.

    >>> is_address("postgresql://shop@db/events"), is_address("events.db")
    (True, False)
    """
    return "://" in place


def without_password(place: str) -> str:
    """A place as it may be shown.

    >>> without_password("postgresql://shop:secret@db/events")
    'postgresql://shop@db/events'
    """
    return re.sub(r"(?<=://)([^:/@]*):[^@/]*@", r"\1@", place)


def place_of(text: str) -> str:
    """A place as somebody types it: an address as it is, a path as `expanded` has it."""
    return text if is_address(text) else str(expanded(text))


def of_kind(value: object, kind: type[T], name: str, remedy: str) -> T:
    """The value, where it is of that kind; `remedy` tells how one is made."""
    must_be(value, kind, name, remedy)
    return value  # type: ignore[return-value]


def must_be(value: object, kind: type, name: str, remedy: str) -> None:
    """Raise ConfigurationError unless the value is of that kind, which may be a protocol that can be asked for."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ConfigurationError(f"{name}={told(value)} should be {article} {kind.__name__}; {remedy}")


def told(value: object) -> str:
    """A value as a message shows it: a short one as it is, of a long one its beginning, of a thing its kind."""
    if value is not None and not isinstance(value, str | bytes | bool | int | float | list | tuple):
        return f"<{type(value).__module__.partition('.')[0]}.{type(value).__name__}>".replace("builtins.", "")
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
