"""Cells of any type as texts, numbers, categories and vectors, and which cells are none."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from nextitem.data.features import cells

NOTHING = [False, False]


def told(values: cells.Values) -> tuple[list[Any], list[bool]]:
    assert values is not None
    return values[0].to_list(), values[1].to_list()


def test_titles_are_texts_without_blanks_and_whole_numbers() -> None:
    assert told(cells.texts(pl.Series([" Heat", "  "]))) == (["Heat", None], NOTHING)
    assert told(cells.texts(pl.Series([1984, None]))) == (["1984", None], NOTHING)
    assert told(cells.texts(pl.Series(["None", "NaN"]))) == (["None", "NaN"], NOTHING)  # films may be called so
    assert cells.texts(pl.Series([1.5])) is None


def test_numbers_are_finite_and_what_stands_for_none_is_missing() -> None:
    assert told(cells.numbers(pl.Series(["1e3", "NaN"]))) == ([1000, None], NOTHING)
    assert told(cells.numbers(pl.Series(["$5", "inf"]))) == ([None, None], [True, True])
    assert told(cells.numbers(pl.Series([2.5, float("nan")]))) == ([2.5, None], NOTHING)
    assert told(cells.numbers(pl.Series([2.5, float("inf")]))) == ([2.5, None], [False, True])
    assert told(cells.numbers(pl.Series([True, None]))) == ([1, None], NOTHING)
    assert cells.numbers(pl.Series([date(2024, 1, 1)])) is None
    assert cells.numbers(pl.Series([[1]])) is None


@pytest.mark.parametrize(
    ("column", "divider", "expected"),
    [
        (["war|art|war", " sea | "], "pipe", [["war", "art"], ["sea"]]),
        (["war art", "NaN"], "space", [["war", "art"], None]),
        (["war|art", ""], "whole", [["war|art"], None]),
        (['["a|b", 3]', "['x', 'y']"], "pipe", [["a|b", "3"], ["x", "y"]]),
        (["[]", None], "pipe", [[], None]),
        ([3, None], "pipe", [["3"], None]),
        ([["a", None], []], "pipe", [["a"], []]),
        ([[1, 2], None], "pipe", [["1", "2"], None]),
    ],
)
def test_categories_are_lists(column: list[Any], divider: str, expected: list[Any]) -> None:
    assert told(cells.categories(pl.Series(column), divider)) == (expected, NOTHING)


def test_what_only_begins_like_a_list_is_none() -> None:
    assert told(cells.categories(pl.Series(["[a, b]", "[{'a': 1}]"]), "pipe")) == ([None, None], [True, True])


def test_categories_of_an_enumeration_are_texts() -> None:
    column = pl.Series(["a|b", None], dtype=pl.Categorical)
    assert told(cells.categories(column, "pipe")) == ([["a", "b"], None], NOTHING)
    assert cells.categories(pl.Series([1.5]), "pipe") is None
    assert cells.categories(pl.Series([[[1]]]), "pipe") is None


@pytest.mark.parametrize("column", [["[0.5, 1]", "(2 3)"], ["0.5;1", "2|3"], [[0.5, 1.0], [2.0, 3.0]]])
def test_vectors_are_lists_of_numbers(column: list[Any]) -> None:
    assert told(cells.vectors(pl.Series(column))) == ([[0.5, 1.0], [2.0, 3.0]], NOTHING)


def test_a_vector_is_as_long_as_most_are_and_finite() -> None:
    values, is_bad = told(cells.vectors(pl.Series([[1.0], [1.0, 2.0], [3.0, 4.0], None, [1.0, float("nan")], []])))
    assert values == [None, [1.0, 2.0], [3.0, 4.0], None, None, None]
    assert is_bad == [True, False, False, False, True, True]
    assert told(cells.vectors(pl.Series(["1 x", "1e300 1"]))) == ([None, None], [True, True])
    assert told(cells.vectors(pl.Series([[1, 2]], dtype=pl.Array(pl.Int16, 2)))) == ([[1, 2]], [False])
    assert cells.vectors(pl.Series([1.0])) is None
    assert cells.vectors(pl.Series([["a"]])) is None
