"""What changes of a catalogue say, and with which items they go."""

import polars as pl
import pytest

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog
from nextitem.errors import DataError
from nextitem.serving.catalogue.changes import CatalogueChanges

ITEMS = Catalog.of(pl.Series([3, 5, 8]))


def new(*ids: int | str) -> ItemFeatures:
    return ItemFeatures(pl.DataFrame({"item": ids}))


def test_changes_make_others_and_stay_as_they_are() -> None:
    nothing = CatalogueChanges()
    retired = nothing.retire([3, 5]).restore([3])
    assert nothing.is_empty
    assert retired.retired == {5}
    assert retired.rename({3: "Three"}).rename({3: "III"}).titles == {3: "III"}
    assert retired.add(new(9)).add(new(7)).added_ids == [9, 7]  # in the order in which they came


def test_ids_are_those_of_the_catalogue_however_they_were_written() -> None:
    found = CatalogueChanges().retire(["3"]).rename({"5": "Five"}).checked(ITEMS)
    assert found.retired == {3}
    assert found.titles == {5: "Five"}


def test_an_added_item_may_be_retired_and_renamed() -> None:
    found = CatalogueChanges().add(new(9)).retire([9]).rename({9: "Nine"}).checked(ITEMS)
    assert found.retired == {9}


def test_what_is_not_there_cannot_be_retired() -> None:
    with pytest.raises(DataError, match=r"item 4 .* is not among the 3 items"):
        CatalogueChanges().retire([4]).checked(ITEMS)


def test_what_is_there_cannot_be_added() -> None:
    with pytest.raises(DataError, match="item 8 is among the 3 items that the model was trained on"):
        CatalogueChanges().add(new(7, 8)).checked(ITEMS)
    with pytest.raises(DataError, match="item 7 was added before"):
        CatalogueChanges().add(new(7)).add(new(7))


def test_added_ids_are_of_the_kind_of_the_others() -> None:
    with pytest.raises(DataError, match="the ids of added items are texts, and those of trained ones whole numbers"):
        CatalogueChanges().add(new("7")).checked(ITEMS)
