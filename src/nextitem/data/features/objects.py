"""Items as JSON -> rows: an object a line, or one object from ids to lists of attributes or to objects of columns."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.data.features.lines import require_encoding
from nextitem.data.features.rows import EACH, Rows
from nextitem.data.reading.names import clipped
from nextitem.data.reading.opening import stretches
from nextitem.errors import DataError


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it stands there, so that a key that it has twice is seen."""


def rows_of_object_lines(file: Path, encoding: str) -> Rows:
    """The rows of a file with a JSON object a line. Raises DataError, with the line."""
    require_encoding(file, encoding)
    records, numbers = list[Mapping[str, Any]](), list[int]()
    for stretch in stretches(file):
        for number, line in enumerate(stretch.content.decode(encoding).split("\n"), stretch.row):
            if line.strip():
                record = _parsed(line, f"{file}:{number}")
                if not isinstance(record, _Pairs):
                    raise DataError(f"{file}:{number}: the line is no JSON object; write {{…}} for each item")
                records.append(_plain(record))
                numbers.append(number)
    return Rows(str(file), _table(str(file), records), pl.Series(numbers, dtype=pl.Int64))


def rows_of_object(file: Path, encoding: str) -> Rows:
    """The rows of a file that is one JSON object; an item may have a list (`attributes`) or an object of columns.

    Raises DataError for anything else.
    """
    require_encoding(file, encoding)
    text = b"".join(stretch.content for stretch in stretches(file)).decode(encoding)
    found = _parsed(text, str(file))
    if not isinstance(found, _Pairs):
        raise DataError(f'{file} is no JSON object from ids to lists, such as {{"B01": ["red"]}}; {EACH}')
    is_whole = all(isinstance(value, _Pairs) for _, value in found)
    for number, (key, value) in enumerate(found, 1):
        if not isinstance(value, list) or (isinstance(value, _Pairs) and not is_whole):
            raise DataError(
                f"{file}: entry {number:,}, {clipped(repr(key))}, holds {clipped(json.dumps(value))} where a list of "
                f"attributes is meant; write a list for each item, or an object of columns for each"
            )
    records = [{"item": key, **(_plain(value) if is_whole else {"attributes": value})} for key, value in found]
    return Rows.numbered(str(file), _table(str(file), records))


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: this is no JSON ({error}); correct it or drop it") from None


def _plain(value: Any) -> Any:
    """The same with dictionaries for objects."""
    if isinstance(value, _Pairs):
        return {key: _plain(one) for key, one in value}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _table(place: str, records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A column for each key."""
    names = dict.fromkeys(name for record in records for name in record)
    return pl.DataFrame([_column(place, name, [record.get(name) for record in records]) for name in names])


def _column(place: str, name: str, values: Sequence[Any]) -> pl.Series:
    """The values as one column; numbers of several kinds are numbers, and what else is mixed is text."""
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        there = [value for value in values if value is not None]
    if all(isinstance(value, list) for value in there):
        inner = [one for value in there for one in value if one is not None]
        kind, convert = (pl.Float64(), float) if _are(inner, int, float) else (pl.String(), str)
        lists = [None if value is None else [convert(one) for one in value if one is not None] for value in values]
        if _are(inner, int, float, str):
            return pl.Series(name, lists, dtype=pl.List(kind))
    elif _are(there, int, float):
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    elif _are(there, int, float, str):
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    kinds = " and ".join(sorted({type(value).__name__ for value in there}))
    raise DataError(f"{place}: the column {clipped(name)!r} mixes {kinds}; write values of one kind")


def _are(values: Sequence[Any], *kinds: type) -> bool:
    return all(isinstance(value, kinds) for value in values)
