"""Raw ids as programs and files give them, as one column."""

import csv
import io
import operator
from pathlib import Path
from typing import SupportsIndex

import polars as pl

from nextitem.data.reading.opening import UNREADABLE, explained, stretches
from nextitem.data.reading.tables import table
from nextitem.errors import DataError
from nextitem.settings.given import listed, told

RawId = str | int


def ids_of(values: object, name: str, *, ordered: bool = True) -> pl.Series:
    """The ids of a list, array, series or generator, a column of integers or, where not all of them are, of strings.

    Raises ConfigurationError for what is no list, and DataError for what is no id: those are strings and whole numbers.

    >>> ids_of([7, "b"], "users").to_list()
    ['7', 'b']
    """
    return column_of([_id(value, name, place) for place, value in enumerate(listed(values, name, ordered=ordered))])


def column_of(ids: list[RawId]) -> pl.Series:
    """Ids as one column; a mixture of strings and numbers becomes strings, and so do numbers beyond 64 bits."""
    if ids and all(isinstance(raw, int) and -(2**63) <= raw < 2**63 for raw in ids):
        return pl.Series(ids, dtype=pl.Int64)
    return pl.Series([str(raw) for raw in ids], dtype=pl.String)


def _id(value: object, name: str, place: int) -> RawId:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:  # an array of several numbers
            pass
    raise DataError(f"{name}[{place}]={told(value)} is no id; ids are strings and whole numbers")


def read_ids(file: Path, role: str) -> pl.Series:
    """The ids in a file: the column `role` (`user`, `item`) of a table, or one id a line; blanks around do not count.

    The table is a .parquet file, or text with the names of columns between commas in its first line. Raises DataError
    where a line holds more than an id or the file is not what its name says, and StorageError where it cannot be read.
    """
    if file.suffix.lower() == ".parquet":
        return _of_table(file, table(file), role)
    try:
        text = b"".join(stretch.content for stretch in stretches(file)).decode()
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: this is not text in UTF-8 with one id a line ({error})") from error
    except UNREADABLE as error:
        raise explained(file, error, is_text=False) from error
    place, first = 0, 0
    header = [name.strip().lower() for name in rows[0]] if rows else []
    if role in header:
        place, first = header.index(role), 1
    for number, row in enumerate(rows[first:], first + 1):
        if len(row) != max(1, len(header)) or (len(row) > 1 and not first):
            raise DataError(
                f"{file}: row {number} holds {len(row)} fields; give one {role} a line, or name the column {role!r} in "
                f"the first line"
            )
    return pl.Series([text for row in rows[first:] if (text := row[place].strip())], dtype=pl.String)


def _of_table(file: Path, content: pl.DataFrame, role: str) -> pl.Series:
    name = role if role in content.columns else content.columns[0] if content.width == 1 else None
    if name is None:
        raise DataError(f"{file} has no column {role!r} among {', '.join(content.columns[:10])}; call one of them so")
    return ids_of(content[name].drop_nulls(), f"{file}:{name}")
