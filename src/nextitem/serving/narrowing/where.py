"""Conditions on the columns of items: as an expression such as `genres=Comedy,price<20`, or as a mapping.

    text                       mapping                            an item fulfils it whose
    genres=Comedy              {"genres": "Comedy"}               categories have Comedy among them
    genres=Comedy|Drama        {"genres": ["Comedy", "Drama"]}    … one of the two
    genres!=Horror             {"genres": {"!=": "Horror"}}       categories are known and have not Horror among them
    price<20                   {"price": {"<": 20}}               number is below 20; also <=, >, >=, = and !=
    maker="A, B & Co"          {"maker": "A, B & Co"}             text is that; commas and bars stand in quotes

All conditions have to be fulfilled. An item of which a value is not known fulfils no condition on it, `!=` neither.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError
from nextitem.settings.given import listed, told
from nextitem.settings.suggestion import suggest
from nextitem.words import counted

Where = str | Mapping[str, object]
_OPERATORS = ("=", "!=", "<=", ">=", "<", ">")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_CONDITION = re.compile(
    rf"\s*({_QUOTED}|[^\s\"=!<>,|][^=!<>,|]*?)\s*(!=|<=|>=|=|<|>)\s*((?:{_QUOTED}|[^\",])+)\s*(?:,|$)"
)
_VALUE = re.compile(rf"\s*({_QUOTED}|[^|\"]+?)\s*(?:\||$)")
_NAMED = 10  # values of a column that a message names
Value = str | float


@dataclass(frozen=True)
class Condition:
    """What one column has to be: any of the values by `=`, none of them by `!=`, or on one side of a number."""

    column: str
    operator: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{'|'.join(map(str, self.values))}"


def conditions(where: Where) -> tuple[Condition, ...]:
    """What an expression or a mapping asks for, in its order. Raises ConfigurationError for what is neither.

    >>> [str(one) for one in conditions('genres=Comedy|"Film, Noir", year>=1990')]
    ['genres=Comedy|Film, Noir', 'year>=1990']
    """
    found = _of_text(where) if isinstance(where, str) else _of_mapping(where)
    if not found:
        raise ConfigurationError(f"where={told(where)} names no condition; write such as genres=Comedy,price<20")
    return found


def fulfilled(asked: tuple[Condition, ...], features: ItemFeatures) -> Tensor:
    """Which items fulfil all conditions, boolean (N,).

    Raises ConfigurationError for a column that the items do not have, and for a value that it cannot have.
    """
    is_in = pl.repeat(True, len(features), dtype=pl.Boolean, eager=True)
    for one in asked:
        is_in &= _fulfilled(one, features).fill_null(False)
    return torch.from_numpy(is_in.to_numpy(writable=True))


def _of_text(text: str) -> tuple[Condition, ...]:
    found, place = list[Condition](), 0
    while place < len(text):
        match = _CONDITION.match(text, place)
        if match is None:
            rest = text[place:].strip()
            raise ConfigurationError(
                f"where={told(text)}: {told(rest)} is no condition; write COLUMN=VALUE, or one of "
                f"{' '.join(_OPERATORS[1:])}, and commas between conditions; text with commas, bars or signs in quotes"
            )
        values = tuple(_plain(value) for value in _VALUE.findall(match[3]))
        found.append(Condition(_plain(match[1]), match[2], values))
        place = match.end()
    return tuple(found)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _of_mapping(where: object) -> tuple[Condition, ...]:
    if not isinstance(where, Mapping):
        raise ConfigurationError(
            f"where={told(where)} should be a text such as genres=Comedy,price<20 or a mapping of columns to values"
        )
    found = []
    for column, asked in where.items():
        each = asked if isinstance(asked, Mapping) else {"=": asked}
        for operator, value in each.items():
            if operator not in _OPERATORS:
                raise ConfigurationError(f"where[{column!r}]: {told(operator)} is none of {' '.join(_OPERATORS)}")
            is_one = isinstance(value, str | int | float)
            values = [value] if is_one else listed(value, f"where[{column!r}]", ordered=False)
            found.append(Condition(str(column), operator, tuple(_value(one, column) for one in values)))
    return tuple(found)


def _value(value: object, column: object) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return float(value)
    raise ConfigurationError(f"where[{column!r}]: {told(value)} is no value; give texts or numbers")


def _fulfilled(one: Condition, features: ItemFeatures) -> pl.Series:
    """Whether each item fulfils it, null where that is not known."""
    column = _column(one, features)
    if not one.values:
        raise ConfigurationError(f"where: {one.column}{one.operator} has no value; give at least one")
    if one.column in features.numbers:
        return _of_number(column, one)
    if one.operator not in ("=", "!="):
        kind = "categories" if one.column in features.categories else "a text"
        raise ConfigurationError(
            f"where: {one} compares {one.column}, which is {kind}; only numbers are more or less: "
            f"{', '.join(features.numbers) or 'the items have none'}. Write {one.column}= or {one.column}!="
        )
    wanted = [f"{value:g}" if isinstance(value, float) else value for value in one.values]
    if one.column in features.categories:
        known = column.explode(empty_as_null=False)
        _refuse_unknown(one, wanted, known)
        has = [column.list.contains(value) for value in wanted]
        is_one = has[0]
        for other in has[1:]:
            is_one = is_one | other
    else:
        _refuse_unknown(one, wanted, column)
        is_one = column.is_in(pl.Series(wanted, dtype=pl.String).implode())
    return is_one if one.operator == "=" else ~is_one


def _of_number(column: pl.Series, one: Condition) -> pl.Series:
    numbers = []
    for value in one.values:
        try:
            numbers.append(float(value))
        except ValueError:
            known = column.drop_nulls().to_list()
            between = f" (known are {min(known):g} to {max(known):g})" if known else ""
            raise ConfigurationError(
                f"where: {one.column} is a number{between}, and {told(value)} is none; write such as {one.column}<20"
            ) from None
    if one.operator in ("=", "!="):
        is_one = column.is_in(pl.Series(numbers).implode())
        return is_one if one.operator == "=" else ~is_one
    if len(numbers) > 1:
        raise ConfigurationError(f"where: {one} compares with {len(numbers)} numbers; give one")
    number = numbers[0]
    sides = {"<": column < number, "<=": column <= number, ">": column > number, ">=": column >= number}
    return sides[one.operator]


def _column(one: Condition, features: ItemFeatures) -> pl.Series:
    kinds = dict.fromkeys(features.categories, "categories")
    kinds |= dict.fromkeys(features.numbers, "a number")
    kinds |= dict.fromkeys(features.texts, "a text")
    if "title" in features.table.columns:
        kinds["title"] = "a text"
    if not kinds:
        raise ConfigurationError(
            f"where: nothing is known of the items beside their ids, so that {one} cannot be told; train with a table "
            f"of them (items=FILE, in Python items=frame)"
        )
    if one.column not in kinds:
        known = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise ConfigurationError(
            f"where: the items have no column {one.column!r}; {suggest(one.column, [*kinds])}. They have {known}; what "
            f"else their table holds is named in training, as by --item-columns texts={one.column}"
        )
    return features.table[one.column]


def _refuse_unknown(one: Condition, wanted: list[str], known: pl.Series) -> None:
    """Raise ConfigurationError for a value that no item has: it is misspelt, or of another column."""
    values = {*known.drop_nulls().unique().to_list()}
    missing = [value for value in wanted if value not in values]
    if not missing:
        return
    counts = Counter(known.drop_nulls().to_list())
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:_NAMED]
    folded = {value.casefold(): value for value in sorted(values)}
    near = [folded[close] for close in get_close_matches(missing[0].casefold(), folded, 3)]
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    more = f" and {len(values) - len(frequent):,} more" if len(values) > len(frequent) else ""
    raise ConfigurationError(
        f"where: no item has {one.column} {missing[0]!r}{hint} The {counted(len(values), 'value')} of {one.column}: "
        f"{', '.join(frequent)}{more}"
    )
