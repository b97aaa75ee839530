"""Yelp is made of its owners' file of reviews where only that is there: users with five items, repeats kept."""

import dataclasses
import gzip
import json
from pathlib import Path

import pytest

from nextitem.data.acquisition import load
from nextitem.data.datasets.yelp import YELP
from nextitem.data.description import Description
from nextitem.errors import DataError

ANN = ["a", "b", "a", "c", "d", "e"]  # five different ones, one of them twice
BOB = ["a", "b", "c", "d", "a", "b"]  # four
EVE = ["f", "e", "d", "c", "b"]


def reviews() -> str:
    rows = [
        {"review_id": f"{user}{number}", "user_id": user, "business_id": item, "stars": 4.0, "text": "good,\n\"very\"",
         "date": f"2016-03-{20 - number:02d} 20:56:{number:02d}"}
        for user, items in (("eve", EVE), ("ann", ANN), ("bob", BOB))
        for number, item in enumerate(items)
    ]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEXTITEM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def described(users: int = 2, items: int = 6, events: int = 11) -> Description:
    return dataclasses.replace(YELP, users=users, items=items, events=events, address="http://127.0.0.1:9/never")


@pytest.mark.parametrize("compressed", [False, True])
def test_the_reviews_become_the_dataset(compressed: bool, folder: Path) -> None:
    name = "yelp_academic_dataset_review.json"
    content = reviews().encode()
    (folder / (f"{name}.gz" if compressed else name)).write_bytes(gzip.compress(content) if compressed else content)
    made = load(described())
    in_order = made.in_time_order()
    of_ann = in_order.filter(in_order["user"] == "ann")
    assert of_ann["item"].to_list() == ANN[::-1]  # by their dates, which the file has the other way round
    assert set(in_order["user"]) == {"ann", "eve"}
    assert "time" in in_order.columns


def test_another_edition_of_the_reviews_is_told(folder: Path) -> None:
    file = folder / "yelp_academic_dataset_review.json"
    file.write_text(reviews())
    with pytest.raises(DataError) as caught:
        load(described(users=3))
    assert str(caught.value) == (
        f"{file} was read as (users, items, events) = (2, 6, 11), but yelp is described by (3, 6, 11); it is another "
        f"edition: train on it by data={file} columns.format=jsonl columns.user=user_id columns.item=business_id "
        f"columns.time=date, or take it away"
    )


def test_the_real_description_asks_for_the_published_counts() -> None:
    assert (YELP.users, YELP.items, YELP.events) == (279_106, 148_415, 4_350_510)
    assert YELP.raw is not None
    assert YELP.raw.least_distinct == 5
