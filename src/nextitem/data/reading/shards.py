"""Several files as one log: whether they are alike, and which they are, in words."""

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from nextitem.data.reading.names import clipped, listed
from nextitem.data.reading.sources import Opened
from nextitem.errors import DataError

_FILES_NAMED = 10
_REMEDY = "make them alike, or read them apart"


def require_alike(first: Opened, other: Opened) -> None:
    """Raise DataError, naming both files, where they do not have the same columns of the same kind."""
    if first.form != other.form:
        raise DataError(f"{first.place} is read as {first.form}, and {other.place} as {other.form}; {_REMEDY}")
    if first.is_headless and len(first.found.header) != len(other.found.header):
        widths = (len(one.found.header) for one in (first, other))
        raise DataError(f"{first.place} has {next(widths)} columns, and {other.place} has {next(widths)}; {_REMEDY}")
    for role in dict.fromkeys([*first.found.places, *other.found.places]):
        here, there = (one.found.columns.roles.get(role) for one in (first, other))
        if here != there:
            told = [f"in {clipped(name)!r}" if name else "in no column" for name in (here, there)]
            raise DataError(f"{first.place} has the {role} {told[0]}, and {other.place} {told[1]}; {_REMEDY}")
        kinds = [_kind(one.types[role], role) for one in (first, other) if role in one.types]
        if len(set(kinds)) > 1:
            raise DataError(
                f"{first.place} has {kinds[0]} in {clipped(str(here))!r}, and {other.place} has {kinds[1]}; {_REMEDY}"
            )


def note_on(files: Sequence[str | Path]) -> tuple[str, ...]:
    """What is said where a log is more than one file."""
    if len(files) <= 1:
        return ()
    folder = os.path.commonpath([Path(file).parent for file in files])
    names = listed([os.path.relpath(file, folder) for file in files[:_FILES_NAMED]])
    more = f" and {len(files) - _FILES_NAMED:,} more" if len(files) > _FILES_NAMED else ""
    return (f"{len(files):,} files are one log, in this order: {names}{more}",)


def _kind(dtype: pl.DataType, role: str) -> str:
    """What a type is for: those of one kind may stand in one log."""
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return "texts"
    if dtype.is_numeric() and (role == "time" or not dtype.is_integer()):
        return "numbers"
    if dtype.is_integer():
        return "whole numbers"
    if isinstance(dtype, pl.Datetime):
        return "moments without a time zone" if dtype.time_zone is None else "moments with a time zone"
    return str(dtype)
