"""An object of JSON in each line; blank lines are skipped. Values have types, so ids keep theirs, and their blanks."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.names import clipped
from nextitem.data.reading.opening import stretches
from nextitem.errors import DataError

_NAMED_BY = 100
"""Records whose keys are the columns: a record may leave some of them out."""
_INTEGERS = range(-(2**63), 2**63)
_KINDS = {str: "a text", int: "a whole number"}
Record = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class JsonLines:
    """Typed values by name, whose order does not matter; a record is told by its line."""

    name: str = "jsonl"
    endings: tuple[str, ...] = (".jsonl", ".ndjson", ".json")
    is_text: bool = False
    may_be_packed: bool = True
    separator: None = None

    def content(self, file: Path, layout: Layout = AS_THE_FORMAT) -> Content | None:
        """The columns by the keys of the first records, whatever `layout` says of lines with separators."""
        first = list(islice(_records(file), _NAMED_BY))
        if not first:
            return None
        header = list(dict.fromkeys(key for _, record in first for key in record))
        kinds = {name: _kind(record.get(name) for _, record in first) for name in header}

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            names = {role: header[place] for role, place in places.items()}
            for records in _batches(file):
                columns = {
                    role: _times(file, name, records) if role == "time" else _ids(file, name, records, kinds[name])
                    for role, name in names.items()
                }
                yield pl.LazyFrame({"row": [row for row, _ in records], **columns})

        return Content(header, frames)


def _kind(values: Iterator[Any]) -> type:
    """What ids of a column are, by the first one."""
    return next((type(value) for value in values if type(value) in _KINDS), str)


def _batches(file: Path) -> Iterator[list[Record]]:
    for stretch in stretches(file):
        if records := list(_of_lines(file, stretch.row, stretch.content)):
            yield records


def _records(file: Path) -> Iterator[Record]:
    for stretch in stretches(file, 1 << 16):
        yield from _of_lines(file, stretch.row, stretch.content)


def _of_lines(file: Path, row: int, content: bytes) -> Iterator[Record]:
    """The line of each record and what it holds. Raises DataError for a line that is no object."""
    decode = json.JSONDecoder(object_pairs_hook=_of_pairs, parse_float=Decimal, parse_constant=_missing).decode
    # Nothing but \n ends a line: `splitlines` would divide at characters that may stand in a text.
    for number, line in enumerate(content.decode().split("\n"), row):
        if text := line.strip():
            try:
                record = decode(text)
            except (ValueError, ArithmeticError, RecursionError) as error:
                raise _no_object(file, number, text, error) from error
            if not isinstance(record, dict):
                raise _no_object(file, number, text)
            yield number, record


def _of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return record


def _missing(_: str) -> None:
    """NaN and infinity, which JSON does not know and some write."""


def _no_object(file: Path, row: int, text: str, error: Exception | None = None) -> DataError:
    what = "is no object" if error is None else "is no JSON"
    reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
    because = "" if error is None else f" ({clipped(reason)})"
    remedy = 'write one object a line, such as {"user": 7, "item": "x", "time": 1700000000}'
    return DataError(f"{file}:{row}: {clipped(repr(text[:100]))} {what}{because}; {remedy}")


def _ids(file: Path, name: str, records: list[Record], kind: type) -> pl.Series:
    """Texts, or integers of 64 bits."""

    def problem(value: Any) -> str:
        if type(value) not in _KINDS:
            return "is neither a text nor a whole number; ids are one of both"
        if type(value) is not kind:
            return f"is {_KINDS[type(value)]}, and other ids of the column are of another kind; write all as texts"
        is_beyond = kind is int and value not in _INTEGERS
        return "is beyond 64 bits with a sign; store such ids as strings" if is_beyond else ""

    values = _checked(file, name, records, problem)
    return pl.Series(values, dtype=pl.String if kind is str else pl.Int64)


def _times(file: Path, name: str, records: list[Record]) -> pl.Series:
    """Numbers and texts as they are written, so that numbers are exact."""

    def problem(value: Any) -> str:
        return "" if type(value) in (str, int, Decimal) else "is neither a number nor a text"

    return pl.Series([None if v is None else str(v) for v in _checked(file, name, records, problem)], dtype=pl.String)


def _checked(file: Path, name: str, records: list[Record], problem: Callable[[Any], str]) -> list[Any]:
    values = [record.get(name) for _, record in records]
    for place, value in enumerate(values):
        if value is not None and (fact := problem(value)):
            raise DataError(f"{file}:{records[place][0]}:{name}: {_shown(value)} {fact}")
    return values


def _shown(value: Any) -> str:
    return clipped(str(value) if isinstance(value, Decimal) else repr(value))


JSON_LINES = JsonLines()
