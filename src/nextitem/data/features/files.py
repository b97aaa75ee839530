"""A file of items or users -> its rows; the ending of its name tells the format. Texts and JSON may be compressed."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from nextitem.data.features.columns import NO_FEATURES, Features
from nextitem.data.features.lines import rows_of_lines
from nextitem.data.features.objects import rows_of_object, rows_of_object_lines
from nextitem.data.features.rows import Rows, rows_of_frame
from nextitem.data.features.table import Of
from nextitem.data.reading.columns import USUAL, Columns
from nextitem.data.reading.formats import COMMA_SEPARATED, RATINGS, TAB_SEPARATED
from nextitem.data.reading.opening import UNREADABLE, explained, unpacked
from nextitem.data.reading.paths import require_file
from nextitem.data.reading.records import Divided
from nextitem.data.reading.rejected import RejectedRows
from nextitem.data.reading.steady import unchanged
from nextitem.data.reading.tables import table
from nextitem.errors import ConfigurationError, DataError
from nextitem.settings.given import expanded
from nextitem.settings.suggestion import suggest

_PACKED = (".gz", ".zst")
_MOVIES = replace(RATINGS, header=("item", "title", "genres"))
"""As MovieLens writes its movies."""
_DIVIDED: Mapping[str, Divided] = {
    ".csv": COMMA_SEPARATED,
    ".tsv": TAB_SEPARATED,
    ".inter": TAB_SEPARATED,
    ".item": TAB_SEPARATED,
    ".user": TAB_SEPARATED,
    ".dat": _MOVIES,
}
_OBJECTS: Mapping[str, Callable[[Path, str, RejectedRows | None, Of], Rows]] = {
    ".jsonl": rows_of_object_lines,
    ".ndjson": rows_of_object_lines,
    ".json": rows_of_object,
}


def _arrow(file: Path) -> pl.DataFrame:
    with unpacked(file) as content:
        written = content.read()
    return (pl.read_ipc if written.startswith(b"ARROW1") else pl.read_ipc_stream)(io.BytesIO(written))


_TYPED: Mapping[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": table,
    **dict.fromkeys((".arrow", ".feather", ".ipc"), _arrow),
}


def rows_asked_for(asked: Features, frame: object = None, of_events: Columns = USUAL) -> Rows | None:
    """The table of items: a frame that was given or the file that is asked for; None where there is neither.

    What becomes of rows that cannot be used is as `asked`, else as with the rows of the events.

    Raises ConfigurationError where there are both, and where columns are asked for of neither; and as the functions
    that read them.
    """
    if frame is not None and asked.file is not None:
        raise ConfigurationError(f"items are given as a frame and as features.file={asked.file}: give one of the two")
    if frame is not None:
        return rows_of_frame(frame, rejected_of(asked, of_events))
    if asked.file is not None:
        return rows_of_file(asked, rejected_of(asked, of_events))
    if asked != NO_FEATURES:
        raise ConfigurationError(
            "it is said which columns of a table of items hold what, and no table is named; name one by items=FILE, "
            "such as items=movies.csv"
        )
    return None


def rejected_of(asked: Features, of_events: Columns) -> RejectedRows | None:
    """Where rows of a table of items or users go that cannot be used; None: they are refused."""
    is_skipped = (asked.columns.on_bad_rows or of_events.on_bad_rows) == "skip"
    return RejectedRows() if is_skipped else None


def rows_of_users(asked: Features, of_events: Columns = USUAL) -> Rows | None:
    """The table of users, where one is asked for; raises as `rows_asked_for`."""
    if asked.file is not None:
        return rows_of_file(asked, rejected_of(asked, of_events), "user")
    if asked != NO_FEATURES:
        raise ConfigurationError(
            "it is said which columns of a table of users hold what, and no table is named; name one by users=FILE, "
            "such as users=users.csv"
        )
    return None


def rows_of_file(features: Features, rejected: RejectedRows | None = None, of: Of = "item") -> Rows:
    """The rows of the file that `features` name, each `of` an item or a user.

    Those that cannot be used go to `rejected`, where rows are skipped.

    Raises DataError, StorageError and ConfigurationError.
    """
    file = expanded(str(features.file))
    require_file(file, f"{of}s")
    ending, columns = _ending(file), features.columns
    section = "features" if of == "item" else "user_features"
    if ending not in _DIVIDED and (columns.separator or columns.header):
        raise ConfigurationError(
            f"{file} has columns with names, and nothing divides them; leave out {section}.columns.separator and "
            f"{section}.columns.header"
        )
    if ending in _TYPED and features.encoding != "utf-8":
        raise ConfigurationError(f"{file} is no text; leave out {section}.encoding={features.encoding}")
    if columns.on_bad_rows == "skip" and rejected is None:
        rejected = RejectedRows()
    with unchanged(file):
        try:
            rows = _read(file, ending, features, rejected, of)
        except UNREADABLE as error:
            raise explained(file, error, is_text=ending in _DIVIDED) from error
    rows.require_any()
    return rows


def _read(file: Path, ending: str, features: Features, rejected: RejectedRows | None, of: Of) -> Rows:
    if ending in _DIVIDED:
        return rows_of_lines(file, _DIVIDED[ending], features, rejected, of)
    if ending in _OBJECTS:
        return _OBJECTS[ending](file, features.encoding, rejected, of)
    return replace(Rows.numbered(str(file), _TYPED[ending](file), rejected), of=of)


def _ending(file: Path) -> str:
    """The ending that tells the format, without that of a packed file."""
    name = file.name.lower()
    plain = next((name.removesuffix(packed) for packed in _PACKED if name.endswith(packed)), name)
    ending = Path(plain).suffix
    if ending in _TYPED and plain != name:
        raise DataError(f"{file}: {ending} files pack their columns themselves, and are not read packed; unpack it")
    if ending not in {**_DIVIDED, **_OBJECTS, **_TYPED}:
        known = suggest(ending or name, [*_DIVIDED, *_OBJECTS, *_TYPED])
        raise DataError(
            f"{file}: the ending of the name has to tell the format; {known}; texts and JSON may be compressed "
            f"({' or '.join(_PACKED)} behind)"
        )
    return ending
