"""A recommender whose catalogue lives."""

from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ArtefactError, DataError
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.question import Question, Terms
from nextitem.serving.recommender import Recommender
from worlds.small_runs import ITEMS
from worlds.stored_runs import written


def new(*ids: str) -> ItemFeatures:
    return ItemFeatures(pl.DataFrame({"item": ids, "title": [f"New {raw}" for raw in ids]}))


def of(tmp_path: Path, name: str = "sasrec-ce") -> Recommender:
    return Recommender.load(written(tmp_path, name))


def test_a_retired_item_is_in_no_list_and_read_in_histories(tmp_path: Path) -> None:
    before = of(tmp_path)
    (first, *_) = before.answer([Question(["i01"], k=ITEMS)])[0].items
    after = before.with_catalogue(CatalogueChanges().retire([first.item]))
    answer = after.answer([Question(["i01"], k=ITEMS)])[0]
    assert first.item not in [one.item for one in answer]
    assert answer.filtered["retired"] == 1
    assert [one.item for one in after.recommend([["i01"]], k=ITEMS)[0]] == [one.item for one in answer]
    read = after.answer([Question([first.item], k=3)])[0]
    assert (read.source, read.unknown) == ("model", ())
    assert first.item in [one.item for one in before.answer([Question(["i01"], k=ITEMS)])[0]]  # which did not change


def test_a_renamed_item_is_called_otherwise(tmp_path: Path) -> None:
    after = of(tmp_path).with_catalogue(CatalogueChanges().rename({"i00": "The Last", "i01": "Another"}))
    titles = {one.item: one.title for one in after.answer([Question(["i05"], k=ITEMS)])[0]}
    assert (titles["i00"], titles["i01"]) == ("The Last", "Another")


@pytest.mark.parametrize("name", ["sasrec-ce", "bert4rec", "caser", "fpmc"])
def test_an_added_item_is_recommended_marked_and_may_be_in_a_history(tmp_path: Path, name: str) -> None:
    after = of(tmp_path, name).with_catalogue(CatalogueChanges().add(new("z1", "z2")))
    user = after.known_users()[0]
    answer = after.answer([Question(["z1"], user=user, k=ITEMS + 2, terms=Terms(hide="nothing"))])[0]
    cold = {one.item: (one.is_cold, one.title) for one in answer if one.item.startswith("z")}
    assert cold == {"z1": (True, "New z1"), "z2": (True, "New z2")}
    assert not any(one.is_cold for one in answer if one.item.startswith("i"))
    assert answer.unknown == ()
    assert after.recommend(users=[user], k=2)


def test_changes_take_the_place_of_those_before(tmp_path: Path) -> None:
    before = of(tmp_path)
    after = before.with_catalogue(CatalogueChanges().add(new("z1"))).with_catalogue(CatalogueChanges().add(new("z2")))
    assert after.items.ids.to_list() == [*before.items.ids.to_list(), "z2"]
    back = after.with_catalogue(CatalogueChanges())
    assert back.recommend([["i01"]]) == before.recommend([["i01"]])


def test_a_model_that_counts_has_nothing_to_foretell_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="counts events of items and has no vectors of them"):
        of(tmp_path, "popularity").with_catalogue(CatalogueChanges().add(new("z1")))
    assert of(tmp_path / "again", "popularity").with_catalogue(CatalogueChanges().retire(["i01"]))


def test_what_is_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    changes = CatalogueChanges().add(new("z1")).retire(["i02", "z1"]).rename({"i03": "Third"})
    after = of(tmp_path).with_catalogue(changes)
    again = Recommender.load(after.save(tmp_path / "saved"))
    assert again.changes.retired == {"i02", "z1"}
    assert again.changes.rows is not None
    assert after.changes.rows is not None
    assert all(torch.equal(rows, after.changes.rows[name]) for name, rows in again.changes.rows.items())
    assert again.answer([Question(["i01"])]) == after.answer([Question(["i01"])])


def test_added_rows_that_were_altered_are_refused(tmp_path: Path) -> None:
    folder = of(tmp_path).with_catalogue(CatalogueChanges().add(new("z1"))).save(tmp_path / "saved")
    (folder / "added.safetensors").write_bytes(b"no")
    with pytest.raises(ArtefactError, match=r"added\.safetensors was altered"):
        Recommender.load(folder)
