"""Rows joined to a catalogue by raw id: what is kept, what is counted, what is refused."""

from typing import Any

import polars as pl
import pytest

from nextitem.data.features.columns import FeatureColumns
from nextitem.data.features.joining import Joined, join
from nextitem.data.features.rows import Rows
from nextitem.data.log import Catalog
from nextitem.errors import DataError

NUMBERS = Catalog(pl.Series([3, 7, 12]))
TEXTS = Catalog(pl.Series(["007", "7", "x"]))


def joined(catalog: Catalog, columns: dict[str, Any], **asked: Any) -> Joined:
    return join(Rows.numbered("folder/items.csv", pl.DataFrame(columns)), catalog, FeatureColumns(**asked))


def titles(catalog: Catalog, ids: list[Any]) -> dict[object, str]:
    return dict(joined(catalog, {"item": ids, "title": [f"row {n + 1}" for n in range(len(ids))]}).features.titles)


def test_an_id_is_compared_as_the_catalogue_has_it() -> None:
    assert titles(NUMBERS, ["12", "07", "3"]) == {12: "row 1", 3: "row 3"}
    assert titles(NUMBERS, [12, 4]) == {12: "row 1"}
    assert titles(TEXTS, ["7", "007"]) == {"7": "row 1", "007": "row 2"}
    assert titles(TEXTS, [7, 12]) == {"7": "row 1"}


def test_every_kind_is_kept_with_its_type_in_the_order_of_the_catalogue() -> None:
    found = joined(
        NUMBERS,
        {"item": ["12", "3"], "title": ["a", "b"], "genre": ["x|y", ""], "year": ["1990", "NaN"], "plot": ["long", ""],
         "look": ["1 2", "[3, 4]"]},
        texts="plot", vectors="look",
    )  # fmt: skip
    assert found.features.table.to_dicts() == [
        {"item": 3, "title": "b", "genre": None, "year": None, "plot": None, "look": [3, 4]},
        {"item": 7, "title": None, "genre": None, "year": None, "plot": None, "look": None},
        {"item": 12, "title": "a", "genre": ["x", "y"], "year": 1990, "plot": "long", "look": [1, 2]},
    ]
    assert found.features.vectors == ["look"]
    assert found.features.table.schema["look"] == pl.Array(pl.Float32, 2)


def test_everything_that_was_left_out_is_counted() -> None:
    found = joined(
        NUMBERS,
        {"item": ["12", "", "99", "12", "NaN", "98", "3"], "title": ["a", "b", "c", "a ", "d", "e", ""],
         "genre": ["x"] * 6 + ["y|x"], "plot": ["?"] * 7},
    )  # fmt: skip
    assert found.notes == (
        "items: 7 rows of items.csv: ids in 'item', titles in 'title', categories in 'genre' (divided by pipe); "
        "not read: plot",
        "items: left out are 2 rows of items.csv without an id, 2 rows of items that the log does not have "
        "('99', '98'), 1 row that repeats another one",
        "items: 1 of 3 items of the log has no row in items.csv (7)",
        "items: no value in title 1",
        "items: genre has 2 categories",
    )


def test_two_rows_that_differ_in_what_is_read_are_refused() -> None:
    columns = {"item": [7, 3, 7, 7], "title": ["a", "b", "a", "c"], "plot": ["1", "2", "3", "4"]}
    with pytest.raises(
        DataError, match="rows 1 and 4 are both of item 7, and their title is 'a' and 'c'; keep one row"
    ):
        joined(NUMBERS, columns)
    with pytest.raises(DataError, match=r"their genre is \['x'\] and None \(2 items have such rows\)"):
        joined(NUMBERS, {"item": [7, 3, 7, 3], "genre": ["x", "y", "", "z"]})


def test_a_table_of_other_items_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"none of the 2 rows is of an item of the log: column 'item' holds 'x', 'y', and"
    ):
        joined(NUMBERS, {"item": ["x", "y"], "title": ["a", "b"]})
    with pytest.raises(DataError, match="column 'item' holds Float64, but ids are strings or integers; convert it"):
        joined(NUMBERS, {"item": [7.0], "title": ["a"]})


@pytest.mark.parametrize(
    ("column", "asked", "fact"),
    [
        (
            ["1990", "V"],
            {"numbers": "x"},
            "items.csv:2:x: 'V' is no finite number; correct it, or take such cells for mis",
        ),
        (["1 2", "3"], {"vectors": "x"}, "items.csv:2:x: '3' is no vector of 2 finite numbers, as most are"),
        (
            ["1 2", "z"],
            {"vectors": "x"},
            "items.csv:2:x: 'z' is no vector of 2 finite numbers, as most are; correct it",
        ),
        ([[1.0, float("nan")], [2.0, 3.0]], {"vectors": "x"}, "items.csv:1:x: [1.0, nan] is no vector of 2 finite"),
        (["", ""], {"vectors": "x"}, "column 'x' has no vector in any row; leave it out of vectors"),
        (
            [1.5, 2.5],
            {"texts": "x"},
            "column 'x' holds Float64, which is no text; convert it, or leave it out of texts",
        ),
        (["a", "[b"], {"numbers": "x"}, "(2 such rows: 1, 2)"),
    ],
)
def test_a_cell_of_a_named_column_has_to_be_what_it_is_taken_for(column: list[Any], asked: Any, fact: str) -> None:
    with pytest.raises(DataError) as refused:
        joined(NUMBERS, {"item": [7, 3], "x": column}, **asked)
    assert fact in str(refused.value)


def test_unusable_cells_may_be_missing_and_are_counted() -> None:
    found = joined(NUMBERS, {"item": [7, 3], "x": ["1990", "V"]}, numbers="x", unusable="missing")
    assert found.features.table["x"].to_list() == [None, 1990, None]
    assert "items: column 'x': 'V' is no finite number in row 2: taken for missing" in found.notes
    assert "items: no value in x 1" in found.notes


def test_categories_that_nothing_divides_are_told_of() -> None:
    catalogue = Catalog(pl.Series(range(6)))
    texts = ["war art", "war", "art", "sea war", "sea art", "sea war art"]
    assert joined(catalogue, {"item": [*range(6)], "class": texts}).notes[1] == (
        "items: column 'class' has 6 categories, each a whole text; divided by space they would be 3: --item-columns "
        "categories=class:space"
    )
    assert len(joined(catalogue, {"item": [*range(6)], "class": texts}, categories="class:space").notes) == 2
    assert len(joined(catalogue, {"item": [*range(6)], "class": ["Science Fiction", "Film Noir"] * 3}).notes) == 2


def test_a_column_that_only_has_a_usual_name_is_left_where_it_is_something_else() -> None:
    found = joined(NUMBERS, {"item": [7, 3], "title": ["a", "b"], "year": ["1990", "V"], "genre": [1.5, 2.5]})
    assert found.features.names == []
    assert found.notes == (
        "items: 2 rows of items.csv: ids in 'item', titles in 'title'; not read: year, genre",
        "items: 1 of 3 items of the log has no row in items.csv (12)",
        "items: column 'genre' holds Float64, which is no category: it is not read",
        "items: column 'year': 'V' is no finite number in row 2: it is not read; take such cells for missing by "
        "--item-columns numbers=year,unusable=missing",
    )
