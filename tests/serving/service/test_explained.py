"""Similar items, given items in order, and why: over HTTP as the recommender says it."""

from collections.abc import Iterator

import pytest

from nextitem.serving.question import Question
from nextitem.serving.recommender import Recommender
from worlds.served import Served, models_of, served

HISTORY = ["i03", "i04", "i05"]


@pytest.fixture(scope="module")
def one() -> Iterator[Served]:
    with served(models_of("sasrec-ce", "popularity")) as found:
        yield found


@pytest.fixture(scope="module")
def recommender(one: Served) -> Recommender:
    return one.service.models.first.recommender


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["item"] for row in rows]


def test_similar_items_are_those_of_the_recommender(one: Served, recommender: Recommender) -> None:
    told = one.post("/v1/similar", {"items": ["i03", "no such"], "k": 4, "exclude": ["i07"]}).json()
    [expected] = recommender.similar_items(["i03"], 4, exclude=["i07"])
    assert ids(told["items"]) == ["i03", "no such"]
    assert ids(told["items"][0]["similar"]) == [each.item for each in expected]
    assert told["items"][1]["similar"] == []
    assert told["model"]["name"] == "sasrec-ce"


def test_given_items_come_back_in_the_order_of_the_model(one: Served, recommender: Recommender) -> None:
    given = ["i09", "i03", "i10", "no such"]
    told = one.post("/v1/rerank", {"history": HISTORY, "items": given}).json()
    expected = recommender.rerank(Question(HISTORY), given)
    assert ids(told["items"]) == [each.item for each in expected]
    assert told["unknown"] == ["no such"]
    hidden = one.post("/v1/rerank", {"history": HISTORY, "items": given, "hide": "history"}).json()
    assert hidden["filtered"] == {"seen": 1}


def test_an_explanation_says_what_carries_each_item_and_what_if(one: Served, recommender: Recommender) -> None:
    told = one.post("/v1/explain", {"history": HISTORY, "k": 3, "without": ["i05"], "added": ["i08"]}).json()
    expected = recommender.explain(Question(HISTORY, k=3), without=["i05"], added=["i08"])
    assert ids(told["items"]) == ids(told["answer"]["items"]) == [each.item for each in expected.items]
    assert [ids(row["carriers"]) for row in told["items"]] == [
        [each.item for each in row.carriers] for row in expected.items
    ]
    assert told["history"] == HISTORY
    assert expected.what_if is not None
    assert ids(told["what_if"]["answer"]["items"]) == [each.item for each in expected.what_if.answer]
    assert (told["is_fallback"], told["goes_by_history"]) == (False, True)


def test_one_item_is_explained_though_it_is_not_listed(one: Served) -> None:
    told = one.post("/v1/explain", {"history": HISTORY, "items": ["i03"]}).json()
    assert [(row["item"], row["filtered"]) for row in told["items"]] == [("i03", "seen")]


def test_the_explanation_of_a_fallback_says_that_it_is_one(one: Served) -> None:
    told = one.post("/v1/explain", {"history": ["no such"], "k": 2}).json()
    assert (told["is_fallback"], told["answer"]["fallback"]) == (True, "nothing known")


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("similar", {"items": []}, "items: "),
        ("similar", {"items": ["no such"], "unknown": "error"}, "no such"),
        ("rerank", {"history": HISTORY, "items": ["i03"], "k": 3}, "k: "),
        ("explain", {"history": HISTORY, "items": ["no such"]}, "no such"),
        ("explain", {"history": HISTORY, "without": ["i11"]}, "not in the history"),
        ("explain", {"history": HISTORY, "k": 101}, "k: "),
        ("explain", {"history": HISTORY, "k": 100, "latest": 51}, "ask about 98 items, or give latest=50"),
        ("explain", {"history": HISTORY, "items": ["i03"] * 26, "latest": 200}, "26 items times latest=200"),
        ("similar", {"items": ["i03"] * 11, "k": 1000}, "10,000 may be listed in all"),
    ],
)
def test_what_cannot_be_looked_into_is_refused(one: Served, path: str, body: object, word: str) -> None:
    told = one.post(f"/v1/{path}", body)
    assert (told.status_code, told.json()["code"]) == (422, "invalid")
    assert word in told.json()["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("similar", {"items": ["i03"]}),
        ("rerank", {"history": HISTORY, "items": ["i03"]}),
        ("explain", {"history": HISTORY}),
    ],
)
def test_what_is_not_done_in_time_is_refused_with_when_to_ask_again(
    one: Served, monkeypatch: pytest.MonkeyPatch, path: str, body: object
) -> None:
    soon = one.service.settings.model_copy(update={"looking_seconds": 1e-6})
    monkeypatch.setattr(one.service, "settings", soon)
    told = one.post(f"/v1/{path}", body)
    assert (told.status_code, told.json()["code"], told.headers["retry-after"]) == (503, "deadline", "1")
    assert "not done within 1e-06 seconds" in told.json()["message"]
