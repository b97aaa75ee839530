"""The catalogue over HTTP: found, retired, renamed and added, and still so after a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nextitem.serving.service.models import ids_of
from nextitem.serving.store.store import EventStore
from worlds.served import Served, models_of, served


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def one(file: Path) -> Iterator[Served]:
    models = models_of("sasrec-ce", "popularity")
    ids = ids_of(models.first.recommender)
    with EventStore.open(file, ids=ids) as store, served(models, events=store) as found:
        yield found


def listed(one: Served, model: str = "sasrec-ce") -> list[str]:
    body = {"history": ["i03"], "k": 100, "model": model}
    return [item["item"] for item in one.post("/v1/recommend", body).json()["items"]]


def test_items_are_found_by_their_words(one: Served) -> None:
    found = one.client.get("/v1/items", params={"search": "i0", "limit": 3}).json()["items"]
    assert len(found) == 3
    assert all(item["item"].startswith("i0") for item in found)
    assert one.client.get("/v1/items/i03").json() == {
        "item": "i03", "title": None, "is_retired": False, "is_cold": False, "models": ["sasrec-ce", "popularity"],
    }  # fmt: skip
    told = one.client.get("/v1/items/no such")
    assert (told.status_code, told.json()["code"]) == (404, "not_found")


def test_a_retired_item_is_recommended_no_more_and_a_renamed_one_is_called_so(one: Served, file: Path) -> None:
    assert "i05" in listed(one)
    told = one.client.patch("/v1/items/i05", json={"is_retired": True, "title": "Old one"}).json()
    assert (told["is_retired"], told["title"]) == (True, "Old one")
    assert "i05" not in listed(one)
    assert "i05" not in listed(one, "popularity")
    assert one.client.get("/v1/items", params={"search": "old"}).json()["items"][0]["item"] == "i05"
    assert one.client.patch("/v1/items/i05", json={"is_retired": False}).json()["title"] == "Old one"
    assert "i05" in listed(one)


def test_an_added_item_may_be_listed_and_is_marked(one: Served) -> None:
    told = one.client.post("/v1/items", json={"item": "new", "title": "Brand new"})
    assert told.status_code == 201, told.json()
    assert told.json() == {
        "item": "new", "title": "Brand new", "is_retired": False, "is_cold": True, "models": ["sasrec-ce"],
    }  # fmt: skip
    assert "new" in listed(one)
    assert "new" not in listed(one, "popularity")
    again = one.client.post("/v1/items", json={"item": "new"})
    assert (again.status_code, again.json()["code"]) == (422, "invalid")
    wrong = one.client.post("/v1/items", json={"item": "newer", "features": {"colour": "red"}})
    assert wrong.status_code == 422
    assert "colour" in wrong.json()["message"]
    assert one.client.get("/v1/items/newer").status_code == 404


def test_changes_are_there_after_a_restart(one: Served, file: Path) -> None:
    one.client.patch("/v1/items/i05", json={"is_retired": True})
    one.client.post("/v1/items", json={"item": "new", "title": "Brand new"})
    assert one.service.events is not None
    one.service.events.backup(file.with_name("copy.db"))
    models = models_of("sasrec-ce", "popularity")
    with EventStore.open(file.with_name("copy.db")) as store, served(models, events=store) as again:
        assert "i05" not in listed(again)
        assert "new" in listed(again)
        assert again.client.get("/v1/items/new").json()["title"] == "Brand new"


def test_a_change_without_a_database_is_refused_and_a_search_is_not() -> None:
    with served() as found:
        assert found.client.get("/v1/items").status_code == 200
        told = found.client.patch("/v1/items/i05", json={"is_retired": True})
        assert (told.status_code, told.json()["code"]) == (404, "no_store")
