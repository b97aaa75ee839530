"""Who a model has no vector for, and has stored events all the same: labelled popularity, and never what they had."""

from collections.abc import Iterator

import pytest

from nextitem.serving.service.models import ids_of
from nextitem.serving.store.store import EventStore
from worlds.served import Served, models_of, served


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service of a model with a vector for each user."""
    models, file = models_of("fpmc"), tmp_path_factory.mktemp("strangers") / "events.db"
    with EventStore.open(file, ids=ids_of(models.first.recommender)) as store, served(models, events=store) as found:
        yield found


@pytest.mark.parametrize("user", ["new", "u03"])
def test_a_stranger_with_stored_events_gets_what_is_popular_beside_them(one: Served, user: str) -> None:
    if user == "u03":  # whose vector may not be used any more
        assert one.client.delete(f"/v1/users/{user}").status_code == 200
    [first] = one.post("/v1/recommend", {"user": user, "k": 1}).json()["items"]
    assert one.post("/v1/events", {"user": user, "item": first["item"]}).status_code == 201
    told = one.post("/v1/recommend", {"user": user, "k": 12}).json()
    assert (told["source"], told["fallback"], told["filtered"]) == ("popularity", "nothing known", {"seen": 1})
    assert first["item"] not in [item["item"] for item in told["items"]]
    assert len(told["items"]) == 11
    why = one.post("/v1/explain", {"user": user, "k": 2}).json()
    assert (why["is_fallback"], why["goes_by_history"]) == (True, False)
    strict = one.post("/v1/recommend", {"user": "nobody", "history": ["i03"], "unknown": "error"})
    assert (strict.status_code, strict.json()["code"]) == (422, "invalid")


def test_a_history_of_nobody_is_refused_as_before(one: Served) -> None:
    told = one.post("/v1/recommend", {"history": ["i03"]})
    assert told.status_code == 422
    assert "has a vector for each user" in told.json()["message"]


def test_a_user_of_the_model_goes_on_from_stored_events(one: Served) -> None:
    assert one.post("/v1/events", {"user": "u05", "item": "i03"}).status_code == 201
    assert one.post("/v1/recommend", {"user": "u05"}).json()["source"] == "model"


@pytest.mark.parametrize("stored", [False, True])
def test_kinds_that_mean_nothing_are_refused_with_stored_events_and_without(one: Served, stored: bool) -> None:
    user = "u07" if stored else "u08"
    if stored:
        assert one.post("/v1/events", {"user": user, "item": "i03"}).status_code == 201
    told = one.post("/v1/recommend", {"user": user, "history": ["i04"], "kinds": ["click"]})
    assert told.status_code == 422
    assert "leave kinds out" in told.json()["message"] + told.json()["remedy"]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/events", {"item": "i03"}, "user: field required"),
        ("/v1/events", [{"user": "a", "item": "i03"}, {"item": "i03"}], "[1].user: field required"),
        ("/v1/events", [{"user": "a", "item": "i03", "kind": 3}], "[0].kind: input should be a valid string"),
        ("/v1/events", [], "body: list should have at least 1 item after validation, not 0"),
        ("/v1/events", "i03", "body: input should be a valid dictionary"),
        ("/v1/recommend/batch", {"questions": [{}, {"k": 0}]}, "questions[1].k: input should be greater than"),
    ],
)
def test_what_is_wrong_with_a_body_is_said_by_its_element_and_field(
    one: Served, path: str, body: object, message: str
) -> None:
    told = one.post(path, body)
    assert told.status_code == 422
    assert told.json()["message"].startswith(message)
