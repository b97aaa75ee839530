import polars as pl
import pytest

from nextitem.serving.parts.tables import as_table
from nextitem.serving.question import Recommendation

LISTS = [
    [Recommendation("i1", 0.5, "model"), Recommendation("i2", -1.25, "model")],
    [],
    [Recommendation("i3", 7.0, "popularity")],
]
TITLES = {"i1": 'Größe, "M"', "i3": "Tea"}
TABLE = as_table(["ann", "bob", "cia"], LISTS, TITLES)
ROWS = [
    {"user": "ann", "rank": 1, "item": "i1", "score": 0.5, "source": "model", "title": 'Größe, "M"'},
    {"user": "ann", "rank": 2, "item": "i2", "score": -1.25, "source": "model", "title": None},
    {"user": "cia", "rank": 1, "item": "i3", "score": 7.0, "source": "popularity", "title": "Tea"},
]


def test_a_table_has_a_row_for_each_recommendation() -> None:
    assert TABLE.to_dicts() == ROWS


def test_without_titles_there_is_no_column_of_them() -> None:
    assert as_table(["ann", "bob", "cia"], LISTS, {}).columns == ["user", "rank", "item", "score", "source"]


def test_numbers_stay_numbers() -> None:
    table = as_table([7], [[Recommendation(70, 1.0, "model")]], {70: "Tea"})
    assert table.row(0) == (7, 1, 70, 1.0, "model", "Tea")


def test_a_table_without_a_row_says_what_would_stand_in_it() -> None:
    table = as_table(pl.Series([7]), [[]], {}, pl.Int64())
    types = {"user": pl.Int64, "rank": pl.Int64, "item": pl.Int64, "score": pl.Float64, "source": pl.String}
    assert table.schema == types
    assert as_table([], [], {}).schema == types | {"user": pl.String, "item": pl.String}


def test_lists_and_their_owners_are_as_many() -> None:
    with pytest.raises(ValueError, match="longer"):
        as_table(["ann"], LISTS, {})
