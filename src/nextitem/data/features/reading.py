"""Columns of rows -> features with their types. What cannot be used is named by row and column, or is left and said."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl
from polars import Series

from nextitem.data.features import cells
from nextitem.data.features.columns import said_by
from nextitem.data.features.finding import Taken, feature_name
from nextitem.data.features.rows import Rows
from nextitem.data.features.table import Of
from nextitem.data.reading.names import clipped
from nextitem.errors import DataError

_NAMED = 5  # rows that a message names; what there is beside them is counted


@dataclass(frozen=True)
class _Role:
    """What a column is read as."""

    name: str
    """As settings call it."""
    one: str
    """A value of it, for messages."""
    read: Callable[[Series], cells.Values]


_TITLE, _TEXTS = _Role("title", "text", cells.texts), _Role("texts", "text", cells.texts)
_NUMBERS, _VECTORS = _Role("numbers", "number", cells.numbers), _Role("vectors", "vector", cells.vectors)


def typed(rows: Rows, taken: Taken, *, unusable_is_missing: bool) -> tuple[Series, pl.DataFrame, Taken, list[str]]:
    """(which rows are used, the features of each of them, the columns that they are from, notes on what is none).

    A column that was named has to be what it is taken for, or DataError names the cell and its row, unless unusable
    cells are missing, or rows have a place where they are `rejected`: all rows are used but those. A column that merely
    has a usual name is left where it is something else.
    """
    columns, left, notes = list[Series](), set[str](), list[str]()
    is_used = pl.repeat(True, rows.table.height, dtype=pl.Boolean, eager=True)
    for name, role in _roles(taken):
        column, is_named = rows.table[name], name not in taken.found
        found = role.read(column)
        if found is None:
            fact = f"holds {column.dtype}, which is no {role.one}"
            if is_named:
                raise DataError(f"{rows.place}: column {name!r} {fact}; convert it, or leave it out of {role.name}")
            notes.append(f"column '{clipped(name)}' {fact}: it is not read")
            left.add(name)
            continue
        values, is_bad = found
        if is_bad.any() and is_named and not unusable_is_missing and rows.rejected is not None:
            rows.reject(is_bad & is_used, feature_name(name), f"is no {_one(values, role)}")
            is_used &= ~is_bad
        elif is_bad.any():
            notes.append(_on_unusable(rows, name, role, found, is_named, unusable_is_missing))
            if not unusable_is_missing:
                left.add(name)
                continue
        columns.append(_as_feature(rows.place, name, role, values))
        if name in taken.categories and cells.is_text(column):
            notes += _on_divider(name, cells.better_divider(column, taken.categories[name]), rows.of)
    return is_used, pl.DataFrame(columns).filter(is_used), taken.without(left), notes


def _on_unusable(
    rows: Rows, name: str, role: _Role, found: tuple[Series, Series], is_named: bool, is_missing: bool
) -> str:
    """What is said of cells that are none of their column. Raises DataError where they are refused."""
    values, is_bad = found
    bad, where = rows.table[name].filter(is_bad), rows.numbers.filter(is_bad)
    shown = bad[0].to_list() if isinstance(bad[0], Series) else bad[0]
    fact = f"{clipped(repr(shown))} is no {_one(values, role)}"
    by = said_by(rows.of, f"{role.name}={feature_name(name)},unusable=missing")
    missing = f"take such cells for missing by {by}"
    if is_named and not is_missing:
        raise DataError(f"{rows.place}:{where[0]}:{name}: {fact}{_others(where)}; correct it, or {missing}")
    told = f"column '{clipped(name)}': {fact} in row {where[0]}{_others(where)}"
    return f"{told}: taken for missing" if is_missing else f"{told}: it is not read; {missing}"


def _roles(taken: Taken) -> Iterator[tuple[str, _Role]]:
    if taken.title is not None:
        yield taken.title, _TITLE
    for name, divider in taken.categories.items():
        yield name, _Role("categories", "category", partial(cells.categories, divider=divider))
    for role, names in ((_NUMBERS, taken.numbers), (_TEXTS, taken.texts), (_VECTORS, taken.vectors)):
        yield from ((name, role) for name in names)


def _as_feature(place: str, name: str, role: _Role, values: Series) -> Series:
    """The values under the name of the feature, those of vectors with their width in the type."""
    if role is _VECTORS:
        if (width := _width(values)) is None:
            raise DataError(f"{place}: column {name!r} has no vector in any row; leave it out of vectors")
        values = values.cast(pl.Array(pl.Float32, width))
    return values.alias("title" if role is _TITLE else feature_name(name))


def _width(vectors: Series) -> int | None:
    there = vectors.drop_nulls()
    return len(there[0]) if len(there) else None


def _one(values: Series, role: _Role) -> str:
    """What a cell of the column would have to be."""
    if role is _VECTORS and (width := _width(values)) is not None:
        return f"vector of {width:,} finite numbers, as most are"
    return f"finite {role.one}" if role is _NUMBERS else role.one


def _on_divider(name: str, better: tuple[str, int, int] | None, of: Of) -> list[str]:
    """What is said where texts look like combinations of categories that nothing divides."""
    if better is None:
        return []
    word, whole, divided = better
    return [
        f"column '{clipped(name)}' has {whole:,} categories, each a whole text; divided by {word} they would be "
        f"{divided:,}: {said_by(of, f'categories={feature_name(name)}:{word}')}"
    ]


def _others(rows: Series) -> str:
    if len(rows) == 1:
        return ""
    more = ", …" if len(rows) > _NAMED else ""
    return f" ({len(rows):,} such rows: {', '.join(map(str, rows.head(_NAMED)))}{more})"
