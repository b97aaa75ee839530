"""What a service answers, asked over a real socket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nextitem.serving.recommender import Recommender
from nextitem.serving.service import bodies, explained_bodies
from nextitem.serving.service.settings import ServiceSettings
from worlds.served import Served, models_of, served
from worlds.small_runs import outcome


@pytest.fixture(scope="module")
def two() -> Iterator[Served]:
    with served(models_of("sasrec-ce", "popularity")) as one:
        yield one


def test_an_answer_is_that_of_the_recommender_and_names_its_model(two: Served) -> None:
    told = two.post("/v1/recommend", {"history": ["i03", "i04"], "k": 3, "model": "sasrec-ce"}).json()
    [expected] = Recommender.from_outcome(outcome("sasrec-ce")).recommend([["i03", "i04"]], k=3)
    assert [(one["item"], one["score"]) for one in told["items"]] == [
        (one.item, pytest.approx(one.score)) for one in expected
    ]
    assert told["model"] == {"name": "sasrec-ce", "version": "unsaved"}
    assert (told["source"], told["fallback"]) == ("model", None)


def test_a_history_of_nothing_known_gets_what_is_popular_and_says_so(two: Served) -> None:
    told = two.post("/v1/recommend", {"history": ["no such"], "k": 2, "model": "sasrec-ce"}).json()
    assert (told["source"], told["fallback"], told["unknown"]) == ("popularity", "nothing known", ["no such"])
    assert len(told["items"]) == 2


def test_several_questions_are_answered_in_their_order(two: Served) -> None:
    histories = [[f"i{item:02}"] for item in range(12)] * 3
    together = two.post("/v1/recommend/batch", {"questions": [{"history": one} for one in histories]}).json()
    alone = [two.post("/v1/recommend", {"history": one}).json() for one in histories[:12]]
    assert len(together["answers"]) == 36
    for one, other in zip(together["answers"], alone, strict=False):
        assert [item["item"] for item in one["items"]] == [item["item"] for item in other["items"]]


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({"history": ["i03"], "k": 0}, 422, "invalid", "k: "),
        ({"history": ["i03"], "kk": 1}, 422, "invalid", "kk: "),
        ({"history": "i03"}, 422, "invalid", "history: "),
        ({"history": ["no such"], "unknown": "error"}, 422, "invalid", "no such"),
        ({"history": ["i03"], "hide": "everything"}, 422, "invalid", "everything"),
        ({"history": ["i03"], "model": "sasrec"}, 404, "no_model", "did you mean"),
    ],
)
def test_what_cannot_be_answered_is_told_with_a_code_and_a_remedy(
    two: Served, body: object, status: int, code: str, word: str
) -> None:
    answer = two.post("/v1/recommend", body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert word in problem["message"]
    assert problem["remedy"]


def test_no_route_and_no_method_are_refusals_too(two: Served) -> None:
    assert two.client.get("/v1/recomend").json()["code"] == "not_found"
    assert two.client.get("/v1/recommend").json()["code"] == "method_not_allowed"


def test_a_parameter_that_a_route_does_not_know_is_refused(two: Served) -> None:
    misspelt = two.client.get("/v1/items?serach=well")
    assert (misspelt.status_code, misspelt.json()["remedy"]) == (422, "it knows limit, search")
    assert two.client.get("/v1/models?a=1").json()["message"] == "'a' is no parameter of this route"
    assert two.client.get("/v1/items?search=i03&limit=1").status_code == 200


def test_health_tells_what_is_loaded(two: Served) -> None:
    assert two.client.get("/health/live").json() == {"status": "live"}
    ready = two.client.get("/health/ready").json()
    assert [one["name"] for one in ready["models"]] == ["sasrec-ce", "popularity"]


def test_metrics_count_by_route_and_never_by_what_was_typed(two: Served) -> None:
    two.client.get("/v1/secret-path")
    two.post("/v1/recommend", {"history": ["i03"]})
    text = two.client.get("/metrics").text
    assert 'nextitem_requests_total{route="/v1/recommend",status="200"}' in text
    assert "secret-path" not in text
    assert 'nextitem_answers_total{model="sasrec-ce",source="model"}' in text


def test_a_log_line_tells_route_model_and_source_and_no_id() -> None:
    with served() as one:
        one.post("/v1/recommend", {"history": ["i03"], "user": "u01"})
    lines = one.log()
    assert [line["event"] for line in lines] == ["started", "request", "ended"]
    told = lines[1]
    assert (told["route"], told["status"]) == ("/v1/recommend", 200)
    assert (told["model"], told["source"]) == ("sasrec-ce", "model")
    assert "u01" not in one.written.getvalue()
    assert "i03" not in one.written.getvalue()


def test_pages_follow_each_other_and_show_nothing_twice(two: Served) -> None:
    shown: list[str] = []
    cursor = None
    while True:
        body = {"history": ["i03"], "k": 5, "cursor": cursor, "model": "sasrec-ce", "diversity": 0.5}
        told = two.post("/v1/recommend", body).json()
        shown += [item["item"] for item in told["items"]]
        assert told["filtered"].get("shown", 0) == len(shown) - len(told["items"])
        cursor = told["cursor"]
        if cursor is None:
            break
    assert len(shown) == len({*shown}) == 11  # all but the one of the history


@pytest.mark.parametrize(
    ("terms", "word"),
    [
        ({"where": "genres=Comedy"}, "no column 'genres'"),
        ({"where": {"genres": {"~": "Comedy"}}}, "where"),
        ({"limits": {"genres": 1}}, "no column 'genres'"),
        ({"cursor": "abc"}, "cursor='abc' is none"),
        ({"diversity": 0.5, "k": 101}, "k=101"),
        ({"kinds": ["click"]}, "kinds"),
    ],
)
def test_terms_that_mean_nothing_here_are_refused_in_the_words_of_the_recommender(
    two: Served, terms: dict[str, object], word: str
) -> None:
    told = two.post("/v1/recommend", {"history": ["i03"], "model": "sasrec-ce"} | terms)
    assert (told.status_code, told.json()["code"]) == (422, "invalid")
    assert word in told.json()["message"]


def test_users_are_named_in_the_log_where_that_is_asked_for() -> None:
    with served(settings=ServiceSettings(port=0, drain_seconds=0, log_ids=True)) as one:
        one.post("/v1/recommend", {"history": ["i03"], "user": "u01"})
    assert [line.get("user") for line in one.log()] == [None, "u01", *[None] * (len(one.log()) - 2)]
    assert "i03" not in one.written.getvalue()


def test_all_that_is_sent_and_all_that_comes_has_an_example_that_is_one(two: Served) -> None:
    described = two.client.get("/openapi.json").json()
    schemas, shapes = described["components"]["schemas"], {**vars(bodies), **vars(explained_bodies)}
    operations = [one for path in described["paths"].values() for one in path.values()]
    sent = [shape_of(one["requestBody"]) for one in operations if "requestBody" in one]
    come = [shape_of(answer) for one in operations for answer in one["responses"].values()]
    assert {"RecommendBody", "BatchBody", "SimilarBody", "RerankBody", "ExplainBody", "ItemBody"} < {*sent}
    for name in {*sent, *come} - {""}:
        for example in schemas[name]["examples"]:
            if name in shapes:
                shapes[name].model_validate_json(json.dumps(example))


def shape_of(described: Any) -> str:
    """The name of the shape that is sent or comes; nothing for what is no object of its own."""
    content = described.get("content", {}).get("application/json", {})
    return content.get("schema", {}).get("$ref", "").rpartition("/")[2]
