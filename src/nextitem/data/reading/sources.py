"""What events are read from: one file by its path, or a frame; which columns it has, and the way to its rows."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
from narwhals.typing import IntoFrame

from nextitem.data.reading.checks import EventSource
from nextitem.data.reading.choosing import format_of, told_format
from nextitem.data.reading.columns import Columns, Found, find, settled_layout
from nextitem.data.reading.format import Content, Format
from nextitem.data.reading.frames import FRAME, Frame, found_in_frame, source_of_frame, understood
from nextitem.data.reading.names import Role, listed
from nextitem.data.reading.opening import explained
from nextitem.data.reading.paths import files_of, require_file
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.time_checks import Seen
from nextitem.errors import ConfigurationError, DataError, NextitemError
from nextitem.settings.given import path_of

Events = Path | str | IntoFrame
"""A file of events by its path, several by a folder or a pattern with `*`, or a frame of them."""
Place = Path | Frame
"""One file, or a frame."""


@dataclass(frozen=True)
class Asked:
    """How events are to be read."""

    columns: Columns
    like: Columns | None = None
    """Those of the log that a model learnt from."""
    rejected: RejectedRows | None = None
    """Where rows go that are left out, if the columns ask for that."""
    seen: Seen = field(default_factory=Seen)
    """Of the times of a log, by the files of it that were read."""


@dataclass(frozen=True)
class Opened:
    """A file or frame whose first record was read."""

    place: Path | str
    """The file, or what stands for a frame in messages."""
    form: str
    """The name of its format."""
    is_text: bool
    """Whether ids are text, which stands for integers where all of it does."""
    found: Found
    types: dict[str, pl.DataType]
    """Of the columns that were found, by role, where the file says it."""
    is_headless: bool


def _no_others(_: Sequence[str]) -> Mapping[Role, int]:
    return {}


def places_in(events: Events) -> list[Place]:
    """The frame, or the files that are one log, in their order. Raises what `files_of` raises."""
    if isinstance(events, str | os.PathLike):
        return [*files_of(path_of(events, "path"))]
    return [understood(events)]


def called(place: Place) -> str:
    """A place as messages name it."""
    return str(place) if isinstance(place, Path) else FRAME


def has_text(place: Place, asked: Asked) -> bool:
    """Whether ids are text, which stands for integers where all of it does; nothing is read. May raise DataError."""
    if not isinstance(place, Path):
        return False
    require_file(place)
    return format_of(place, asked.columns, asked.like).is_text


def opened(place: Place, asked: Asked) -> Opened:
    """What the first record says. Raises DataError, ConfigurationError and what is `UNREADABLE`."""
    if not isinstance(place, Path):
        found = _timed(FRAME, found_in_frame(place, asked.columns, asked.like), asked)
        return Opened(FRAME, FRAME, False, found, {}, False)
    form, content = _content(place, asked)
    found = _timed(place, find(place, content, asked.columns, asked.like), asked)
    types = {role: content.types[found.header[at]] for role, at in found.places.items() if content.types}
    return Opened(place, form.name, form.is_text, found, types, content.is_headless)


def source_of(
    place: Place, asked: Asked, also: Callable[[Sequence[str]], Mapping[Role, int]] = _no_others
) -> EventSource:
    """The rows, and the checks that they go through. Raises as `opened`.

    `also` names further columns by their places in the header: its frames have them too, as they stand there.
    """
    columns = asked.columns
    if columns.on_bad_rows == "skip" and asked.rejected is None:
        raise ConfigurationError(
            "columns.on_bad_rows=skip leaves rows out, which nobody would be told of; pass rejected=RejectedRows() too"
        )
    kept = None if columns.on_bad_rows == "refuse" else asked.rejected
    if not isinstance(place, Path):
        found = opened(place, asked).found
        return source_of_frame(place, replace(found, places={**found.places, **also(found.header)}), kept)
    form, content = _content(place, asked)
    found = _timed(place, find(place, content, columns, asked.like), asked)
    frames = content.frames({**found.places, **also(found.header)})
    has_header = form.is_text and not content.is_headless
    is_doubtful = content.is_headless and columns.header is None
    if kept is None:  # nobody wants to know what stands in bad rows
        frames = (frame.drop("fields", strict=False) for frame in frames)
    return EventSource(
        place, frames, found, form.is_text, content.separator, content.rows, has_header, is_doubtful, kept, asked.seen
    )


def explained_of(place: Place, error: BaseException, asked: Asked) -> NextitemError:
    """What one of the `UNREADABLE` errors says."""
    if not isinstance(place, Path):
        return DataError(f"{FRAME} could not be read: {' '.join(str(error).split())[:200]}")
    form = told_format(place, asked.columns, asked.like)
    return explained(place, error, is_text=form is None or form.may_be_packed)


def _timed(place: Path | str, found: Found, asked: Asked) -> Found:
    """The same. Raises DataError where the log that a model learnt from had times, and these events have none."""
    like, columns = asked.like, asked.columns
    if like is not None and like.time is not None and found.columns.time is None and columns.order == "time":
        raise DataError(
            f"the model learnt from events in the order of {like.time!r}, and {place} has no column of times among "
            f"{listed(list(found.header))}; name it by --columns time=NAME, or take the order of rows by --columns "
            f"order=rows"
        )
    return found


def _content(file: Path, asked: Asked) -> tuple[Format, Content]:
    require_file(file)
    form = format_of(file, asked.columns, asked.like)
    content = form.content(file, settled_layout(asked.columns, asked.like, is_text=form.is_text))
    if content is None:
        raise DataError(f"{file} is empty; give a file with at least one event")
    return form, content
