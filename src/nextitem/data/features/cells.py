"""Cells of a table of items -> values with a type: texts, numbers, categories, vectors. Null is what is missing.

Each function gives the values and which of the cells are none (their values are null too), or None for a column of a
type that can hold no such values.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping

import polars as pl
from polars import Series

from nextitem.data.interactions import MISSING_WORDS

DIVIDERS: Mapping[str, str | None] = {
    "pipe": "|",
    "comma": ",",
    "semicolon": ";",
    "space": " ",
    "tab": "\t",
    "slash": "/",
    "whole": None,
}
"""Words for what divides a text into categories; `whole` is one category."""
Values = tuple[Series, Series] | None
_BETWEEN_NUMBERS = re.compile(r"[\s,;|]+")


def texts(column: Series) -> Values:
    """Texts without blanks around, missing where there is nothing else. Whole numbers are texts: a film is called 1984.

    >>> texts(pl.Series(["Heat ", " ", None]))[0].to_list()
    ['Heat', None, None]
    """
    if not (is_text(column) or column.dtype.is_integer() or column.dtype == pl.Null):
        return None
    plain = column.cast(pl.String).str.strip_chars()
    return plain.set(plain == "", None), _none_of(column)


def numbers(column: Series) -> Values:
    """Finite float64; NaN is missing, and so are words for what is missing. Times and dates are no numbers.

    >>> values, is_bad = numbers(pl.Series(["1995", "NaN", "V"]))
    >>> values.to_list(), is_bad.to_list()
    ([1995.0, None, None], [False, False, True])
    """
    if is_text(column):
        column = _present(column)
        found = column.cast(pl.Float64, strict=False)
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        column = found = column.cast(pl.Float64).fill_nan(None)
    else:
        return None
    found = found.set(~found.is_finite().fill_null(True), None)
    return found, found.is_null() & column.is_not_null()


def categories(column: Series, divider: str) -> Values:
    """Lists of texts, each once and in its order.

    A text is divided at what `divider` is a word for, unless it is a list in brackets, as JSON and Python write it.

    >>> categories(pl.Series(["war|art|war", "['a|b']", ""]), "pipe")[0].to_list()
    [['war', 'art'], ['a|b'], None]
    """
    if isinstance(column.dtype, pl.List | pl.Array):
        inner = column.dtype.inner
        is_plain = isinstance(inner, pl.DataType) and not (inner.is_nested() or inner.is_temporal())
        return (_clean(column.cast(pl.List(pl.String))), _none_of(column)) if is_plain else None
    if not is_text(column):
        is_single = column.dtype.is_integer() or column.dtype in (pl.Boolean, pl.Null)
        return (_single(column.cast(pl.String)), _none_of(column)) if is_single else None
    plain, separator = _present(column), DIVIDERS[divider]
    divided = _single(plain) if separator is None else plain.str.split(separator)
    is_list = plain.str.contains(r"(?s)^\[.*\]$").fill_null(False)
    if not is_list.any():
        return _clean(divided), _none_of(column)
    written = [_literal(text) if is_one else None for text, is_one in zip(plain, is_list, strict=True)]
    literal = Series(column.name, written, dtype=pl.List(pl.String))
    return _clean(literal.zip_with(is_list, divided)), is_list & literal.is_null()


def vectors(column: Series) -> Values:
    """Lists of finite float32, all of them as long as most are: what is of another length is none.

    A text is numbers between blanks, commas or the like, in brackets or not.

    >>> values, is_bad = vectors(pl.Series(["[0.5, 1]", "2 3", "4", None]))
    >>> values.to_list(), is_bad.to_list()
    ([[0.5, 1.0], [2.0, 3.0], None, None], [False, False, True, False])
    """
    if is_text(column):
        column = _present(column)
        lists = [None if text is None else _numbers_in(text) for text in column]
        found = Series(column.name, lists, dtype=pl.List(pl.Float64))
    elif isinstance(column.dtype, pl.List | pl.Array) and pl.Series(dtype=column.dtype.inner).dtype.is_numeric():
        found = column.cast(pl.List(pl.Float64))
    else:
        return None
    found = found.cast(pl.List(pl.Float32))  # where a number beyond float32 is infinite
    is_finite = found.list.agg(pl.element().is_finite().fill_null(False).all()) & (found.list.len() > 0)
    lengths = Counter(found.filter(is_finite.fill_null(False)).list.len().to_list())
    usual = max(lengths, key=lambda length: (lengths[length], length), default=0)
    is_good = (is_finite & (found.list.len() == usual)).fill_null(False)
    return found.set(~is_good, None), column.is_not_null() & ~is_good


def better_divider(column: Series, divider: str) -> tuple[str, int, int] | None:
    """A divider that texts seem to have where they have none of theirs, and how many categories there are by each.

    Whole texts are then combinations of far fewer categories. None where nothing suggests that.

    >>> better_divider(pl.Series(["war art", "war", "art", "sea war", "sea art", "sea war art"]), "pipe")
    ('space', 6, 3)
    """
    plain, separator = _present(column).drop_nulls(), DIVIDERS[divider]
    if separator is None or plain.str.contains(separator, literal=True).any():
        return None
    counts = {
        word: plain.str.split(other).explode(empty_as_null=False).str.strip_chars().n_unique()
        for word, other in DIVIDERS.items()
        if other is not None and plain.str.contains(other, literal=True).any()
    }
    best = min(counts, key=lambda word: counts[word], default=None)
    found = plain.n_unique()
    return (best, found, counts[best]) if best is not None and 2 * counts[best] <= found else None


def is_text(column: Series) -> bool:
    """Whether a column holds texts."""
    return isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum)


def blank(column: Series) -> Series:
    """Which cells of any type stand for a value that is missing."""
    return _present(column).is_null() if is_text(column) else column.is_null()


def _present(column: Series) -> Series:
    """Texts without blanks around; null where one is blank or a word for what is missing."""
    plain = column.cast(pl.String).str.strip_chars()
    return plain.set(plain.is_in(["", *MISSING_WORDS]).fill_null(False), None)


def _none_of(column: Series) -> Series:
    return pl.repeat(False, len(column), eager=True)


def _single(texts: Series) -> Series:
    lists = texts.to_frame("text").select(pl.concat_list("text"))["text"]
    return lists.set(texts.is_null(), None)


def _clean(lists: Series) -> Series:
    """Without blanks around, without what is blank or missing, and each value once."""
    stripped = lists.list.eval(pl.element().str.strip_chars())
    return stripped.list.eval(pl.element().filter(pl.element() != "")).list.unique(maintain_order=True)


def _literal(text: str) -> list[str] | None:
    """The plain values of a list as JSON or Python write it; None where it is none."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list) and all(isinstance(one, str | int | float) for one in found if one is not None):
            return [str(one) for one in found if one is not None]
    return None


def _numbers_in(text: str) -> list[float | None]:
    """The numbers of a text; None among them for what is none."""
    inner = text.strip("[]() \t")
    return [_number(one) for one in _BETWEEN_NUMBERS.split(inner)] if inner else []


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
