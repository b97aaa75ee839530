"""Features of items as they are kept: types say what they are, and what is stored is seen to before it is used."""

from pathlib import Path

import polars as pl
import pytest

from nextitem.data.features.table import FILE, ItemFeatures, read_features

IDS = pl.Series("item", [3, 5, 8])


def features() -> ItemFeatures:
    return ItemFeatures(
        pl.DataFrame(
            {
                "item": IDS,
                "title": ["Heat", None, "Alien"],
                "genre": pl.Series([["crime", "drama"], [], None], dtype=pl.List(pl.String)),
                "year": [1995.0, None, 1979.0],
                "plot": [None, "a hotel", "a ship"],
                "look": pl.Series([[0.5, 1.0], None, [0.0, 2.0]], dtype=pl.Array(pl.Float32, 2)),
            }
        )
    )


def test_types_say_what_a_column_is() -> None:
    found = features()
    assert (found.categories, found.numbers, found.texts, found.vectors) == (["genre"], ["year"], ["plot"], ["look"])
    assert found.names == ["genre", "year", "plot", "look"]
    assert len(found) == 3


def test_titles_are_those_that_there_are() -> None:
    assert features().titles == {3: "Heat", 8: "Alien"}
    assert ItemFeatures.none(IDS).titles == {}
    assert features().without_titles().titles == {}


def test_titles_of_nobody_are_no_column() -> None:
    nothing = pl.Series([None, None, None], dtype=pl.String)
    assert features().with_titles(nothing).table.columns == ["item", "genre", "year", "plot", "look"]
    assert features().without_titles().with_titles(pl.Series(["a", None, "c"])).titles == {3: "a", 8: "c"}


def test_what_is_written_is_read_again_with_its_types(tmp_path: Path) -> None:
    features().write(tmp_path / FILE)
    assert read_features(tmp_path / FILE, IDS).table.equals(features().table)
    assert read_features(tmp_path / FILE, IDS).table.schema == features().table.schema


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"item": pl.Series([3, 5, 9])}, "its first column should hold the 3 items of the catalogue"),
        ({"item": pl.Series(["3", "5", "8"])}, "its first column should hold the 3 items of the catalogue"),
        ({"title": pl.Series([1.0, 2.0, 3.0])}, "column title holds Float64, which is no feature"),
        ({"year": pl.Series([1, 2, 3])}, "column year holds Int64, which is no feature"),
        ({"year": pl.Series([1.0, float("nan"), 3.0])}, "column year holds numbers that are not finite"),
        ({"genre": pl.Series([["a"], ["b", None], None])}, "column genre has a list in which a value is missing"),
        ({"look": pl.Series([[1.0], None, [2.0, 3.0]])}, r"column look holds List\(Float64\), which is no feature"),
        (
            {"look": pl.Series([[1.0, float("inf")], None, [2.0, 3.0]], dtype=pl.Array(pl.Float32, 2))},
            "column look holds numbers that are not finite",
        ),
        (
            {"look": pl.Series([[1.0, None], None, [2.0, 3.0]], dtype=pl.Array(pl.Float32, 2))},
            "column look has a list in which a value is missing",
        ),
    ],
)
def test_what_is_no_feature_is_refused(tmp_path: Path, change: dict[str, pl.Series], fact: str) -> None:
    ItemFeatures(features().table.with_columns(**change)).write(tmp_path / FILE)
    with pytest.raises(ValueError, match=fact):
        read_features(tmp_path / FILE, IDS)
