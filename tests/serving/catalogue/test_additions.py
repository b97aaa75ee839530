"""A table of new items."""

import polars as pl
import pytest

from nextitem.data.features.columns import FeatureColumns
from nextitem.data.features.rows import rows_of_frame
from nextitem.data.features.table import ItemFeatures
from nextitem.data.reading.rejected import RejectedRows
from nextitem.errors import DataError
from nextitem.serving.catalogue.additions import of_values, read_additions

KNOWN = ItemFeatures(
    pl.DataFrame(
        {"item": [3, 5], "title": ["Three", None], "genres": [["war"], []], "price": [1.5, None]},
        schema={"item": pl.Int64, "title": pl.String, "genres": pl.List(pl.String), "price": pl.Float64},
    )
)


def test_a_table_is_read_by_the_columns_that_the_trained_items_have() -> None:
    table = pl.DataFrame({"item": [9, 3, 7], "genres": ["war|art", "art", None], "colour": ["red", "blue", "red"]})
    found = read_additions(rows_of_frame(table), KNOWN)
    assert found.items.table.rows() == [(7, None, None, None), (9, None, ["war", "art"], None)]
    assert "items: left out are 1 row of items that the run knows already (3)" in found.notes


def test_columns_may_be_named() -> None:
    table = pl.DataFrame({"sku": [9], "label": ["Nine"], "price": [2]})
    found = read_additions(rows_of_frame(table), KNOWN, FeatureColumns(id="sku", title="label"))
    assert found.items.table.rows() == [(9, "Nine", None, 2.0)]


def test_values_of_a_program_are_items_too() -> None:
    found = of_values([{"item": 9, "title": "Nine", "genres": ["war"]}, {"item": 7, "price": 3.0}], KNOWN)
    assert found.table.rows() == [(7, None, None, 3.0), (9, "Nine", ["war"], None)]


def test_a_column_that_is_not_there_is_named_with_the_nearest_one() -> None:
    with pytest.raises(DataError, match=r"new item 9: there is no column 'genre'; .*genres"):
        of_values([{"item": 9, "genre": ["war"]}], KNOWN)


def test_values_of_another_type_are_refused() -> None:
    with pytest.raises(DataError, match="give the types that the run's items have"):
        of_values([{"item": 9, "price": "cheap"}], KNOWN)


def test_items_that_are_known_are_no_new_ones() -> None:
    with pytest.raises(DataError, match="none of the 1 row is of an item that the run does not know"):
        of_values([{"item": 3}], KNOWN)


def test_a_column_that_was_something_else_is_refused() -> None:
    table = pl.DataFrame({"item": [9], "genres": ["war"]})
    with pytest.raises(DataError, match=r"column 'genres' holds String and held List\(String\)"):
        read_additions(rows_of_frame(table), KNOWN, FeatureColumns(texts=("genres",), categories=()))


def test_rows_without_an_id_repeats_and_ids_of_another_kind_are_counted() -> None:
    table = pl.DataFrame({"item": ["9", "", "nan", "9", "3", "12"], "price": [1.0] * 6})
    told = "items: left out are 2 rows of items without an id, 1 row of items that the run knows already ('3'), "
    assert f"{told}1 row that repeats another one" in read_additions(rows_of_frame(table), KNOWN).notes
    table = table.with_columns(pl.Series("item", ["9", "x", "07", "12", "3", ""]))
    with pytest.raises(DataError, match=r"items:2:item: 'x' is no whole number as the ids of the run are, such as 3;"):
        read_additions(rows_of_frame(table), KNOWN)
    found = read_additions(rows_of_frame(table, RejectedRows()), KNOWN)
    assert found.items.table["item"].to_list() == [9, 12]
    assert found.rejected.reasons == {
        "item is no whole number as the ids of the run are": 2, "item is missing": 1,
    }  # fmt: skip


def test_rows_that_are_skipped_are_counted() -> None:
    table = pl.DataFrame({"item": [9, 7], "price": [1.0, float("inf")]})
    found = read_additions(rows_of_frame(table, RejectedRows()), KNOWN)
    assert found.items.table.rows() == [(9, None, None, 1.0)]
    assert found.notes[1] == "items: 1 row left out, since it cannot be used: price is no finite number (1)"
