"""Raw ids as programs and files give them, as one column."""

import csv
import io
import operator
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import SupportsIndex

import polars as pl

from nextitem.data.reading.names import listed as listed_names
from nextitem.data.reading.names import own, usual
from nextitem.data.reading.opening import UNREADABLE, explained, stretches
from nextitem.data.reading.paths import require_file
from nextitem.data.reading.tables import TABLE_ENDINGS, table
from nextitem.errors import DataError
from nextitem.settings.given import listed, told
from nextitem.storage import unguarded
from nextitem.words import counted

RawId = str | int
Ids = Iterable[RawId]
"""A list of ids: also a series or an array, or a frame of one column."""
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,19}")  # as numbers are written, so that '007' is not 7


def ids_of(values: object, name: str, *, ordered: bool = True) -> pl.Series:
    """The ids of a list, array, series or generator, a column of integers or, where not all of them are, of strings.

    Raises ConfigurationError for what is no list, and DataError for what is no id: those are strings and whole numbers.

    >>> ids_of([7, "b"], "users").to_list()
    ['7', 'b']
    """
    if (
        isinstance(values, pl.Series)
        and values.dtype in (pl.String, pl.Int64)
        and len(values) > values.null_count() == 0
    ):
        return values.alias("")  # what would come of looking at each, of which there may be millions
    return column_of([_id(value, name, place) for place, value in enumerate(listed(values, name, ordered=ordered))])


class Positions:
    """Where ids stand in a catalogue, for whoever asks for a few at a time: a table of all, made once."""

    def __init__(self, ids: pl.Series) -> None:
        self._are_numbers = ids.dtype.is_integer()
        self._plain: set[type] = {int} if self._are_numbers else {str}
        self._places: dict[RawId, int] = dict(zip(ids.to_list(), range(len(ids)), strict=True))

    def of(self, raw: object, name: str, place: int) -> int:
        """The position of an id, −1 of one that is not there; compared as the catalogue's own type.

        Raises DataError for what is no id, `place` of the list `name`.

        >>> Positions(pl.Series([7, 12])).of("12", "history", 0), Positions(pl.Series([7, 12])).of("012", "history", 0)
        (1, -1)
        """
        found = raw if type(raw) is str or type(raw) is int else _id(raw, name, place)
        if self._are_numbers:
            if isinstance(found, int):
                return self._places.get(found, -1)
            number = int(found) if _NUMBER.fullmatch(found) else None
            return -1 if number is None else self._places.get(number, -1)
        return self._places.get(str(found), -1)

    def of_each(self, ids: Sequence[object], name: str) -> list[int]:
        """The position of each id of the list `name`, −1 of one that is not there. Raises as `of`."""
        if {*map(type, ids)} <= self._plain:  # as nearly always, and several times faster
            places = self._places
            return [places.get(one, -1) for one in ids]  # type: ignore[call-overload]
        return [self.of(one, name, place) for place, one in enumerate(ids)]


def column_of(ids: list[RawId]) -> pl.Series:
    """Ids as one column; a mixture of strings and numbers becomes strings, and so do numbers beyond 64 bits."""
    if ids and all(isinstance(raw, int) and -(2**63) <= raw < 2**63 for raw in ids):
        return pl.Series(ids, dtype=pl.Int64)
    return pl.Series([str(raw) for raw in ids], dtype=pl.String)


def _id(value: object, name: str, place: int) -> RawId:
    if isinstance(value, str):
        return str(value)
    if type(value) is int:  # asking whether it is like one takes a microsecond or more
        return value
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:  # an array of several numbers
            pass
    raise DataError(f"{name}[{place}]={told(value)} is no id; ids are strings and whole numbers")


def read_ids(file: Path, role: str) -> pl.Series:
    """The ids in a file: a column of a table, or one id a line; blanks around do not count.

    The table is a parquet or Arrow file, or text (packed or not) with the names of columns between commas in its first
    line; of several columns the one with a usual name for the role (`user`, `item`) is read. Raises DataError where a
    line holds more than an id or a row of a table none, and where the file is not what its name says; StorageError
    where it cannot be read.
    """
    require_file(file, "ids")
    if file.suffix.lower() in TABLE_ENDINGS:
        content = table(file)
        place = 0 if content.width == 1 else _place(file, content.columns, role)
        return ids_of(content.to_series(place), f"{file}:{content.columns[place]}")
    try:
        text = b"".join(stretch.content for stretch in stretches(file)).decode()
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, [field.strip() for field in row]) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: this is not text in UTF-8 with one id a line ({error})") from error
    except UNREADABLE as error:
        raise explained(file, error, is_text=False) from error
    header = rows[0][1] if rows else []
    if len(header) > 1:
        place = _place(file, header, role)
        return unguarded(pl.Series(_fields(file, rows[1:], place, len(header)), dtype=pl.String))
    # What others call a user or an item may as well be an id.
    ids = _fields(file, rows[len(own(role, header)) :], 0, 1)
    return pl.Series([one for one in ids if one], dtype=pl.String)


def _place(file: Path, names: list[str], role: str) -> int:
    """Which column of several holds the ids."""
    fitting = usual(role, names)
    if len(fitting) != 1:
        which = f"{len(fitting)} columns" if fitting else "no column"
        raise DataError(
            f"{file} has {which} of {role}s among {listed_names(names)}; call one of them {role!r}, or give one {role} "
            f"a line"
        )
    return names.index(fitting[0])


def _fields(file: Path, rows: list[tuple[int, list[str]]], place: int, width: int) -> list[str]:
    """What stands at a place of each row, whose number comes with it."""
    for number, row in rows:
        if len(row) != width:
            raise DataError(f"{file}:{number}: the row holds {counted(len(row), 'field')}, and the first one {width}")
        if width > 1 and not row[place]:
            raise DataError(f"{file}:{number}: the id is blank; give it or drop the row")
    return [row[place] for _, row in rows]
