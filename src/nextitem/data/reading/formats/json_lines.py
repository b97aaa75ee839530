"""An object of JSON in each line; blank lines are skipped. Values have types, so ids keep theirs, and their blanks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeGuard

import polars as pl

from nextitem.data.reading.flaws import Flawed, sound, with_flawed
from nextitem.data.reading.format import AS_THE_FORMAT, Content, Layout
from nextitem.data.reading.names import clipped
from nextitem.data.reading.opening import MOST_BYTES, raw_stretches
from nextitem.errors import DataError

_NAMED_BY = 100
"""Records whose keys are the columns: a record may leave some of them out."""
_INTEGERS = range(-(2**63), 2**63)
_KINDS = {str: "a text", int: "a whole number"}
_FIRST_BYTES = 1 << 16
_SHOWN = 1_000  # characters of a row that is no event
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
        first = list(islice(chain.from_iterable(_batches(file, _FIRST_BYTES)), _NAMED_BY))
        records = [one for _, one in filter(_is_record, first)]
        if not records:
            for flawed in filter(_is_flawed, first):
                raise DataError(f"{file}:{flawed.row}{flawed.place_and_told}")
            return None
        header = list(dict.fromkeys(key for record in records for key in record))
        kinds = {name: _kind(record.get(name) for record in records) for name in header}

        def frames(places: Mapping[str, int]) -> Iterator[pl.LazyFrame]:
            names = {role: header[place] for role, place in places.items()}
            for batch in _batches(file):
                yield _frame(batch, names, kinds)

        types = {name: pl.String() if kind is str else pl.Int64() for name, kind in kinds.items()}
        return Content(header, frames, types=types)


def _kind(values: Iterator[Any]) -> type:
    """What ids of a column are, by the first one."""
    return next((type(value) for value in values if type(value) in _KINDS), str)


def _batches(file: Path, at_once: int = MOST_BYTES) -> Iterator[list[Record | Flawed]]:
    for stretch in raw_stretches(file, at_once):
        content, flawed = sound(file, stretch)
        if records := [*_of_lines(stretch.row, content), *flawed]:
            yield sorted(records, key=_row)


def _is_record(one: Record | Flawed) -> TypeGuard[Record]:
    return not isinstance(one, Flawed)


def _is_flawed(one: Record | Flawed) -> TypeGuard[Flawed]:
    return isinstance(one, Flawed)


def _row(one: Record | Flawed) -> int:
    return one.row if isinstance(one, Flawed) else one[0]


def _of_lines(row: int, content: bytes) -> Iterator[Record | Flawed]:
    """The line of each record and what it holds; flawed is a line that is no object."""
    decode = json.JSONDecoder(object_pairs_hook=_of_pairs, parse_float=Decimal, parse_constant=_missing).decode
    # Nothing but \n ends a line: `splitlines` would divide at characters that may stand in a text.
    for number, line in enumerate(content.decode().split("\n"), row):
        if text := line.strip():
            try:
                record = decode(text)
            except (ValueError, ArithmeticError, RecursionError) as error:
                yield _no_object(number, text, error)
                continue
            yield (number, record) if isinstance(record, dict) else _no_object(number, text)


def _of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return record


def _missing(_: str) -> None:
    """NaN and infinity, which JSON does not know and some write."""


def _no_object(row: int, text: str, error: Exception | None = None) -> Flawed:
    fact = "is no object" if error is None else "is no JSON"
    reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
    because = "" if error is None else f" ({clipped(reason)})"
    remedy = 'write one object a line, such as {"user": 7, "item": "x", "time": 1700000000}'
    return Flawed(row, text[:_SHOWN], fact, f"{clipped(repr(text[:100]))} {fact}{because}; {remedy}")


def _frame(batch: Sequence[Record | Flawed], names: Mapping[str, str], kinds: Mapping[str, type]) -> pl.LazyFrame:
    """The columns of roles; behind them what is no record, or has a value that no column can hold."""
    problems = {
        role: _problem_of_time if role == "time" else partial(_problem_of_id, kind=kinds[name])
        for role, name in names.items()
    }
    rows, flawed = list[int](), [one for one in batch if isinstance(one, Flawed)]
    columns: dict[str, list[Any]] = {role: [] for role in names}
    for row, record in filter(_is_record, batch):
        values = {role: record.get(name) for role, name in names.items()}
        facts = {role: problems[role](value) for role, value in values.items() if value is not None}
        if role := next((role for role, (fact, _) in facts.items() if fact), None):
            (fact, remedy), text = facts[role], json.dumps(record, ensure_ascii=False, default=str)[:_SHOWN]
            told = f"{_shown(values[role])} {fact}; {remedy}"
            flawed.append(Flawed(row, text, fact, told, names[role]))
            continue
        rows.append(row)
        for role, value in values.items():
            columns[role].append(None if value is None else str(value) if role == "time" else value)
    ids = {str: pl.String, int: pl.Int64}
    schema = {role: pl.String if role == "time" else ids[kinds[name]] for role, name in names.items()}
    return with_flawed(pl.LazyFrame({"row": rows, **columns}, {"row": pl.Int64, **schema}), flawed)


def _problem_of_id(value: Any, kind: type) -> tuple[str, str]:
    """(what is wrong with an id, what to do); "" twice where nothing is. Ids are texts, or integers of 64 bits."""
    if type(value) not in _KINDS:
        return "is neither a text nor a whole number", "ids are one of both"
    if type(value) is not kind:
        return f"is {_KINDS[type(value)]}, and other ids of the column are of another kind", "write all as texts"
    if kind is int and value not in _INTEGERS:
        return "is beyond 64 bits with a sign", "store such ids as strings"
    return "", ""


def _problem_of_time(value: Any) -> tuple[str, str]:
    """The same of a time: numbers and texts are kept as they are written, so that numbers are exact."""
    if type(value) in (str, int, Decimal):
        return "", ""
    return "is neither a number nor a text", "write unix seconds or ISO 8601"


def _shown(value: Any) -> str:
    return clipped(str(value) if isinstance(value, Decimal) else repr(value))


JSON_LINES = JsonLines()
