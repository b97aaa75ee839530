"""JSON of items or users -> rows: an object a line, or one from ids to lists of attributes or to objects of columns."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.data.features.lines import require_encoding
from nextitem.data.features.rows import Rows, column_of, each
from nextitem.data.features.table import Of
from nextitem.data.reading.names import clipped
from nextitem.data.reading.opening import raw_stretches, stretches
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import DataError

_ESCAPED = "backslashreplace"
_SHOWN = 1_000  # characters of a record that is left out


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it stands there, so that a key that it has twice is seen."""


class _UnusableError(Exception):
    """A record is none: why, without its place (`args[0]`), and the same with what stands there and what to do."""

    @property
    def told(self) -> str:
        return str(self.args[1])


def rows_of_object_lines(file: Path, encoding: str, rejected: RejectedRows | None = None, of: Of = "item") -> Rows:
    """The rows of a file with a JSON object a line.

    Raises DataError for a line that is none, with its number; where there is a place for `rejected` rows it goes there.
    """
    if rejected is None:
        require_encoding(file, encoding)
    records, numbers = list[Mapping[str, Any]](), list[int]()
    for stretch in stretches(file) if rejected is None else raw_stretches(file):
        for number, line in enumerate(stretch.content.split(b"\n"), stretch.row):
            try:
                record = _record(line, encoding)
            except _UnusableError as error:
                _refuse_or_reject(f"{file}:{number}: ", error, rejected, file, number, line.decode(encoding, _ESCAPED))
                continue
            if record is not None:
                records.append(record)
                numbers.append(number)
    return Rows(str(file), _table(str(file), records), pl.Series(numbers, dtype=pl.Int64), rejected=rejected, of=of)


def rows_of_object(file: Path, encoding: str, rejected: RejectedRows | None = None, of: Of = "item") -> Rows:
    """The rows of a file that is one JSON object from ids; each may have a list (`attributes`) or an object of columns.

    Raises DataError for anything else; where there is a place for `rejected` rows, an entry of another kind goes there.
    """
    require_encoding(file, encoding)
    text = b"".join(stretch.content for stretch in stretches(file)).decode(encoding)
    try:
        found = _parsed(text)
    except _UnusableError as error:
        raise DataError(f"{file}: {error.told}") from None
    if not isinstance(found, _Pairs):
        raise DataError(f'{file} is no JSON object from ids to lists, such as {{"B01": ["red"]}}; {each(of)}')
    is_whole = all(isinstance(value, _Pairs) for _, value in found)
    records, numbers = list[Mapping[str, Any]](), list[int]()
    for number, (key, value) in enumerate(found, 1):
        try:
            records.append({of: key, **_entry(value, is_whole=is_whole)})
            numbers.append(number)
        except _UnusableError as error:
            written = json.dumps({key: _plain(value)}, ensure_ascii=False)
            place = f"{file}: entry {number:,}, {clipped(repr(key))}, "
            _refuse_or_reject(place, error, rejected, file, number, written)
    return Rows(str(file), _table(str(file), records), pl.Series(numbers, dtype=pl.Int64), rejected=rejected, of=of)


def _refuse_or_reject(
    place: str, error: _UnusableError, rejected: RejectedRows | None, file: Path, row: int, text: str
) -> None:
    """Leave a record out, where there is a place for such. Raises DataError where there is none."""
    if rejected is None:
        raise DataError(place + error.told)
    rejected.add(file, pl.DataFrame({"row": [row], "content": [text[:_SHOWN]]}), "", str(error.args[0]))


def _record(line: bytes, encoding: str) -> Mapping[str, Any] | None:
    """What a line holds, None of a blank one. Raises _UnusableError."""
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError as error:
        raise _UnusableError(f"is not {encoding.upper()}", str(error)) from None
    if not text.strip():
        return None
    record = _parsed(text)
    if not isinstance(record, _Pairs):
        raise _UnusableError("is no JSON object", "the line is no JSON object; write {…} for each item")
    names = [name for name, _ in record]
    if twice := next((name for name in names if names.count(name) > 1), None):
        fact = f"the key {clipped(repr(twice))} stands there twice"
        raise _UnusableError("has a key twice", f"{fact}; keep one of them")
    return dict(_plain(record))


def _entry(value: Any, *, is_whole: bool) -> Mapping[str, Any]:
    """What is known of an item of one object. Raises _UnusableError."""
    if is_whole:
        return dict(_plain(value))
    if isinstance(value, list) and not isinstance(value, _Pairs):
        return {"attributes": value}
    fact = f"holds {clipped(json.dumps(_plain(value)))} where a list of attributes is meant"
    remedy = "write a list for each item, or an object of columns for each"
    raise _UnusableError("holds no list of attributes", f"{fact}; {remedy}")


def _parsed(text: str) -> Any:
    """What JSON says, objects as pairs. Raises _UnusableError."""
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise _UnusableError("is no JSON", f"this is no JSON ({error}); correct it or drop it") from None


def _plain(value: Any) -> Any:
    """The same with dictionaries for objects."""
    if isinstance(value, _Pairs):
        return {key: _plain(one) for key, one in value}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _table(place: str, records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A column for each key."""
    names = dict.fromkeys(name for record in records for name in record)
    return pl.DataFrame([column_of(place, name, [record.get(name) for record in records]) for name in names])
