"""A service from Python: what is sent, what comes back, when it is asked again, and what is said where nothing came."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from nextitem import Client, ConfigurationError, Event, Question, ServiceError, Terms
from nextitem.serving.client import attempts
from nextitem.serving.service.models import ids_of
from nextitem.serving.service.security import Token
from nextitem.serving.store.store import EventStore
from worlds.served import Served, models_of, served

SECRET = "a-secret-of-the-house"
READY = {"status": "ready", "models": [{"name": "sasrec", "version": "0f3a9c21d4b7"}]}
STORED = {"accepted": 1, "is_repeat": False, "unknown_items": []}
EVENT = Event("ann", "i03", 10.0)
BUSY = httpx.Response(
    503, headers={"retry-after": "3"}, json={"code": "over_capacity", "message": "64 wait", "remedy": "ask again"}
)

Told = httpx.Response | Exception


class Script:
    """A service that gives these answers, one after another, and keeps what it was asked."""

    def __init__(self, *told: Told) -> None:
        self.told, self.asked = list(told), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        told = self.told.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    def client(self, timeout: float = 10.0, token: str | None = None) -> Client:
        return Client("http://service:8000", token, timeout=timeout, transport=httpx.MockTransport(self))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits; the clock goes on by each, and nobody waits."""
    waits: list[float] = []
    monkeypatch.setattr(attempts, "sleep", waits.append)
    monkeypatch.setattr(attempts, "monotonic", lambda: 100.0 + sum(waits))
    return waits


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Served]:
    models = models_of("sasrec-ce")
    ids = ids_of(models.first.recommender)
    with EventStore.open(tmp_path / "events.db", ids=ids) as store, served(models, None, Token(SECRET), store) as found:
        yield found


def shown(address: str) -> str:
    """What docs/serving.md shows, with ids of the small log."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(from nextitem import Client.*?)```", page, re.DOTALL)
    block = re.sub(r"\b(260|1196|1210)\b", '"i03"', block).replace("user=1", 'user="eve"')
    return block.replace("http://127.0.0.1:8000", address)


def test_every_call_is_answered_by_a_running_service(one: Served) -> None:
    recommender = one.service.models.first.recommender
    with Client(one.address, SECRET) as client:
        assert client.health().models[0].name == "sasrec-ce"
        question = Question(["i03", "i04"], k=3)
        answer = client.recommend(question)
        (ours,) = recommender.answer([question])
        assert [item.item for item in answer.items] == [item.item for item in ours]
        assert [item.score for item in answer.items] == pytest.approx([item.score for item in ours], rel=1e-4)
        many = client.recommend_many([question, Question(["no such"], k=2)] * 150, model="sasrec-ce")
        assert [len(each.items) for each in many] == [3, 2] * 150
        assert (many[1].source, many[1].unknown) == ("popularity", ["no such"])

        (found,) = client.similar_items(["i03"], k=2, terms=Terms(exclude=["i04"]))
        (ours_too,) = recommender.similar_items(["i03"], k=2, exclude=["i04"])
        assert [each.item for each in found.similar] == [each.item for each in ours_too]
        order = client.rerank(question, ["i09", "i05", "i03"])
        assert [each.item for each in order.items] == [
            each.item for each in recommender.rerank(question, ["i09", "i05", "i03"])
        ]
        why = client.explain(question, ["i05"], without=["i04"])
        assert [one.item for one in why.items[0].carriers] == [
            one.item for one in recommender.explain(question, ["i05"]).items[0].carriers
        ]
        assert why.what_if is not None
        assert why.what_if.without == ["i04"]
        first = client.recommend(Question(["i03"], k=2))
        more = client.recommend(Question(["i03"], k=2, terms=Terms(cursor=first.cursor)))
        assert not {each.item for each in first.items} & {each.item for each in more.items}

        assert not client.send_events(EVENT, key="order 6").is_repeat
        assert client.send_events(EVENT, key="order 6").is_repeat
        assert client.send_events([EVENT, Event("ann", "later")]).unknown_items == ["later"]
        assert [event.item for event in client.export_user("ann").events] == ["i03", "i03", "later"]
        assert client.recommend(Question(user="ann")).source == "model"
        assert client.delete_user("ann").deleted == 3
        assert client.export_user("ann").is_forgotten

        assert client.rename_item("i05", "Old one").title == "Old one"
        assert [found.item for found in client.search_items("old", limit=1)] == ["i05"]
        assert client.retire_item("i05").is_retired
        assert not client.restore_item("i05").is_retired
        assert client.add_item("../new", "Brand new").is_cold
        assert client.item("../new").title == "Brand new"

        assert client.share_out({"sasrec-ce": 1.0})[0].share == 1.0
        assert client.models()[0].items == len(recommender.items) + 1
        with pytest.raises(ServiceError) as caught:
            client.reload("no such")
        assert (caught.value.code, caught.value.status) == ("no_model", 404)
        assert "sasrec-ce" in str(caught.value)
    exec(compile(shown(one.address), "serving.md", "exec"), {"TOKEN": SECRET})  # noqa: S102 - our own page
    assert [event.item for event in one.service.events.export("eve").events] == ["i03"]  # type: ignore[union-attr]
    with pytest.raises(ServiceError, match="no_token"), Client(one.address) as stranger:
        stranger.models()


def test_what_is_as_usual_is_not_sent() -> None:
    script = Script(*(httpx.Response(500, json={"code": "internal", "message": "m", "remedy": "r"}) for _ in range(2)))
    terms = Terms(exclude=("i01",), where={"year": {"<": 1990}}, hide="nothing")
    for question in (Question(iter(["i03"]), k=3), Question(("i03",), (1.0,), user=7, terms=terms)):
        with pytest.raises(ServiceError, match="internal"):
            script.client().recommend(question)
    assert [json.loads(asked.content) for asked in script.asked] == [
        {"history": ["i03"], "k": 3},
        {
            "history": ["i03"], "k": 10, "user": 7, "times": [1.0],
            "exclude": ["i01"], "where": {"year": {"<": 1990}}, "hide": "nothing",
        },
    ]  # fmt: skip


def test_a_full_service_is_asked_again_after_what_it_names(slept: list[float]) -> None:
    script = Script(BUSY, BUSY, httpx.Response(201, json=STORED))
    assert script.client().send_events(EVENT).accepted == 1
    assert slept == [3.0, 3.0]
    assert len({asked.headers["idempotency-key"] for asked in script.asked}) == 1
    assert len({asked.content for asked in script.asked}) == 1


def test_two_calls_have_two_keys() -> None:
    script = Script(*(httpx.Response(201, json=STORED) for _ in range(2)))
    client = script.client()
    client.send_events(EVENT)
    client.send_events(EVENT)
    assert len({asked.headers["idempotency-key"] for asked in script.asked}) == 2


def test_a_service_that_stays_full_is_asked_until_the_deadline_and_its_words_are_told(slept: list[float]) -> None:
    script = Script(*[BUSY] * 9)
    with pytest.raises(ServiceError) as caught:
        script.client(timeout=10).models()
    assert slept == [3.0, 3.0, 3.0]
    assert (caught.value.code, caught.value.status, caught.value.remedy) == ("over_capacity", 503, "ask again")
    assert str(caught.value) == "GET http://service:8000/v1/models: over_capacity (503): 64 wait; ask again"


def test_a_lost_connection_is_tried_again_where_that_does_nothing_twice(slept: list[float]) -> None:
    lost = httpx.RemoteProtocolError("the server hung up")
    assert Script(lost, httpx.ConnectError("refused"), httpx.Response(201, json=STORED)).client().send_events(EVENT)
    assert len(slept) == 2
    assert 0.05 <= slept[0] <= 0.1 <= slept[1] <= 0.2
    script = Script(lost)
    with pytest.raises(ServiceError, match="whether it was carried out is not known") as caught:
        script.client().add_item("new")
    assert (caught.value.code, caught.value.status) == ("unreachable", None)
    new = {"item": "new", "title": None, "is_retired": False, "is_cold": True, "models": []}
    assert Script(httpx.ConnectError("refused"), httpx.Response(201, json=new)).client().add_item("new").is_cold


def test_nothing_is_awaited_to_say_how_it_is(slept: list[float]) -> None:
    for told in (BUSY, httpx.ConnectError("refused")):
        with pytest.raises(ServiceError):
            Script(told).client().health()
    assert Script(httpx.Response(200, json=READY)).client().health().models[0].version == "0f3a9c21d4b7"
    assert slept == []


def test_an_attempt_has_what_is_left_of_the_deadline(slept: list[float]) -> None:
    script = Script(BUSY, httpx.ReadTimeout("too long"), *[BUSY] * 9)
    with pytest.raises(ServiceError, match=r"over_capacity|no answer within 4 seconds"):
        script.client(timeout=4).models()
    given = [asked.extensions["timeout"]["read"] for asked in script.asked[:2]]
    assert given == [4.0, 1.0]


def test_no_refusal_is_asked_again(slept: list[float]) -> None:
    script = Script(httpx.Response(422, json={"code": "invalid", "message": "k: too large", "remedy": "ask for less"}))
    with pytest.raises(ServiceError, match=r"invalid \(422\): k: too large; ask for less"):
        script.client().recommend(Question(["i03"], k=1001))
    assert slept == []


@pytest.mark.parametrize(
    "told", [httpx.Response(200, text="<html>welcome"), httpx.Response(502, text="<html>bad gateway")], ids=str
)
def test_what_is_no_such_service_is_said_to_be_none(told: httpx.Response) -> None:
    with pytest.raises(ServiceError, match=r"<html>.*see whether a nextitem service") as caught:
        Script(told).client().models()
    assert caught.value.code == "unexpected"


def test_neither_users_nor_secrets_are_in_messages() -> None:
    script = Script(httpx.Response(404, json={"code": "not_found", "message": "nothing is stored", "remedy": "look"}))
    with pytest.raises(ServiceError, match="GET http://service:8000/v1/users: not_found") as caught:
        script.client(token="very-secret-token").export_user("ann@example.org")
    assert script.asked[0].headers["authorization"] == "Bearer very-secret-token"
    assert "ann" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="token has to be") as refused:
        Client("http://service", "a\nsecret")
    assert "secret" not in str(refused.value)


def test_an_id_is_no_way_to_another_route() -> None:
    script = Script(*(httpx.Response(404, json={"code": "not_found", "message": "m", "remedy": "r"}) for _ in range(2)))
    for user in ("..", "a/../b c?d"):
        with pytest.raises(ServiceError):
            script.client().delete_user(user)
    assert [asked.url.raw_path for asked in script.asked] == [
        b"/v1/users/%2E%2E", b"/v1/users/a%2F%2E%2E%2Fb%20c%3Fd",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Client("service:8000"), "is no address"),
        (lambda: Client("http://service:port"), "give one such as"),
        (lambda: Client("http://service", timeout=0), "above 0"),
        (lambda: Script().client().send_events(EVENT, key="né"), "key has to be"),
        (lambda: Script().client().recommend(Question([object()])), "cannot be sent as JSON"),  # type: ignore[list-item]
        (lambda: Script().client().recommend(Question("i03")), "is a text"),
    ],
)
def test_what_cannot_be_asked_is_said(make: Callable[[], object], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        make()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nextitem.serving.client.attempts")
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'nextitem\[client\]'"):
        Client("http://service")
