"""Events over HTTP: on disk before they are acknowledged, seen by the next answer, and gone with their user."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nextitem.serving.service.models import ids_of
from nextitem.serving.store.store import EventStore
from worlds.served import Served, models_of, served

EVENT = {"user": "new", "item": "i03", "time": 10.0}


@pytest.fixture
def open_at(tmp_path: Path) -> Iterator[Served]:
    """A service with a database."""
    models = models_of("sasrec-ce")
    ids = ids_of(models.first.recommender)
    with EventStore.open(tmp_path / "events.db", ids=ids) as store, served(models, events=store) as one:
        yield one


def listed(one: Served, user: str) -> list[str]:
    answer = one.post("/v1/recommend", {"user": user, "k": 3}).json()
    return [item["item"] for item in answer["items"]]


def test_the_next_answer_sees_the_event(open_at: Served) -> None:
    assert open_at.post("/v1/recommend", {"user": "new", "k": 3}).json()["source"] == "popularity"
    told = open_at.post("/v1/events", EVENT)
    assert (told.status_code, told.json()) == (201, {"accepted": 1, "is_repeat": False, "unknown_items": []})
    alone = open_at.post("/v1/recommend", {"history": ["i03"], "k": 3}).json()
    assert listed(open_at, "new") == [item["item"] for item in alone["items"]]
    open_at.post("/v1/events", [EVENT | {"item": "i04", "time": 20}, EVENT | {"item": "no such", "time": 30}])
    both = open_at.post("/v1/recommend", {"history": ["i03", "i04"], "k": 3}).json()
    assert listed(open_at, "new") == [item["item"] for item in both["items"]]


def test_an_event_that_is_taken_back_is_as_if_it_had_not_happened(open_at: Served) -> None:
    open_at.post("/v1/events", [EVENT, EVENT | {"item": "i07", "time": 20}])
    open_at.post("/v1/events", EVENT | {"item": "i07", "time": 30, "kind": "retraction"})
    alone = open_at.post("/v1/recommend", {"history": ["i03"], "k": 3}).json()
    assert listed(open_at, "new") == [item["item"] for item in alone["items"]]


def test_a_key_that_comes_again_stores_nothing_again_and_no_other_events(open_at: Served) -> None:
    key = {"Idempotency-Key": "order 7"}
    assert not open_at.post("/v1/events", EVENT, key).json()["is_repeat"]
    again = open_at.post("/v1/events", EVENT, key)
    assert (again.status_code, again.json()["is_repeat"]) == (201, True)
    other = open_at.post("/v1/events", EVENT | {"item": "i04"}, key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert "order 7" in other.json()["message"]
    assert open_at.service.events is not None
    assert open_at.service.events.count() == 1


def test_an_item_that_no_model_knows_is_stored_and_named(open_at: Served) -> None:
    told = open_at.post("/v1/events", [EVENT | {"item": "later"}, EVENT | {"item": "later"}]).json()
    assert told == {"accepted": 2, "is_repeat": False, "unknown_items": ["later"]}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (EVENT | {"user": 7}, "ids of users are texts"),
        (EVENT | {"kind": "buy"}, "without kinds"),
        (EVENT | {"time": 1.7e12}, "time: "),
        (EVENT | {"item": "a\x00b"}, "UTF-8"),
        (EVENT | {"more": 1}, "more: "),
        ([], "at least 1"),
        ([EVENT, {}], "user"),
        ("text", "should be a valid"),
        ([EVENT] * 1001, "1000"),
    ],
)
def test_what_is_no_event_is_refused_by_its_place(open_at: Served, body: object, word: str) -> None:
    told = open_at.post("/v1/events", body)
    assert told.status_code == 422
    assert told.json()["code"] == "invalid"
    assert word in told.json()["message"], told.json()
    assert open_at.service.events is not None
    assert open_at.service.events.count() == 0


def test_a_user_is_told_all_and_deleted_for_good(open_at: Served) -> None:
    known = str(open_at.service.models.first.recommender.known_users()[0])
    open_at.post("/v1/events", EVENT | {"user": known})
    told = open_at.client.get(f"/v1/users/{known}").json()
    assert told["events"] == [{"item": "i03", "time": 10.0, "kind": None}]
    assert told["learnt"][0]["model"] == "sasrec-ce"
    assert len(told["learnt"][0]["history"]) >= 5
    gone = open_at.client.delete(f"/v1/users/{known}")
    assert (gone.status_code, gone.json()) == (200, {"user": known, "deleted": 1, "held_by": ["sasrec-ce"]})
    assert open_at.post("/v1/recommend", {"user": known}).json()["source"] == "popularity"
    told = open_at.client.get(f"/v1/users/{known}").json()
    assert (told["events"], told["is_forgotten"]) == ([], True)


def test_a_user_whose_id_has_a_slash_is_found(open_at: Served) -> None:
    open_at.post("/v1/events", EVENT | {"user": "a/b c"})
    assert open_at.client.get("/v1/users/a%2Fb%20c").json()["user"] == "a/b c"


def test_of_whom_nothing_is_stored_is_not_found(open_at: Served) -> None:
    told = open_at.client.get("/v1/users/nobody")
    assert (told.status_code, told.json()["code"]) == (404, "not_found")


def test_a_full_disk_is_said_and_nothing_is_acknowledged(open_at: Served) -> None:
    store = open_at.service.events
    assert store is not None
    store._transactions._connection.execute("PRAGMA max_page_count=1")
    told = open_at.post("/v1/events", [EVENT | {"item": f"{n}" + "x" * 500} for n in range(100)])
    assert (told.status_code, told.json()["code"], told.headers["retry-after"]) == (503, "storage", "1")
    assert "database or disk is full" in told.json()["message"]
    assert store.count() == 0


def test_without_a_database_nothing_is_stored_and_that_is_said() -> None:
    with served() as one:
        for told in (one.post("/v1/events", EVENT), one.client.get("/v1/users/x"), one.client.delete("/v1/users/x")):
            assert (told.status_code, told.json()["code"]) == (404, "no_store")
            assert told.json()["remedy"] == "start it with --events FILE to store anything"
