"""How much is taken on, how long anybody may take, and what happens at the end: seen over real sockets."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from nextitem.serving.question import Answer, Question
from nextitem.serving.recommender import Recommender
from nextitem.serving.service.models import Models, version_of
from nextitem.serving.service.popular import popular_answer
from nextitem.serving.service.settings import ServiceSettings
from worlds.served import Served, served
from worlds.small_runs import outcome

ASKED = {"history": ["i03"], "k": 3}
PATIENT = ServiceSettings(port=0, drain_seconds=0, wait=60, deadline=60)


class Held:
    """A model that answers nothing until it is let go, and notes what it was asked."""

    def __init__(self) -> None:
        self.recommender = Recommender.from_outcome(outcome("sasrec-ce"))
        self.begun, self.may_end, self.asked = threading.Semaphore(0), threading.Event(), list[Question]()

    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        self.asked += questions
        self.begun.release()
        assert self.may_end.wait(30)
        return self.recommender.answer(questions)

    def models(self) -> Models:
        return Models([replace(version_of(self.recommender, "held"), answers=self.answers)])


@contextmanager
def held(settings: ServiceSettings = PATIENT) -> Iterator[tuple[Served, Held]]:
    model = Held()
    with served(model.models(), settings) as one:
        try:
            yield one, model
        finally:
            model.may_end.set()


def as_bytes(body: bytes, headers: str = "", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"POST /v1/recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}"
    return f"{head}content-length: {size}\r\n\r\n".encode() + body


def opened(one: Served, content: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", one.port), timeout=20)
    connection.sendall(content)
    return connection


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    with connection:
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


ONE = as_bytes(json.dumps(ASKED).encode(), "connection: close\r\n")


def told(answer: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), json.loads(body)


def test_after_the_deadline_the_most_popular_items_come_and_say_so() -> None:
    with held(PATIENT.model_copy(update={"deadline": 0.05})) as (one, model):
        answer = one.post("/v1/recommend", ASKED).json()
        assert (answer["source"], answer["fallback"]) == ("popularity", "deadline")
        [expected] = model.recommender.answer([Question(k=3, terms=replace(Question().terms, exclude=["i03"]))])
        assert [item["item"] for item in answer["items"]] == [item.item for item in expected]


def test_what_is_popular_hides_the_history_of_a_known_user_and_keeps_to_the_terms() -> None:
    recommender = Recommender.from_outcome(outcome("sasrec-ce"))
    question = Question(user="u01", k=12)
    popular, own = popular_answer(recommender.known, question), recommender.answer([question])[0]
    assert {one.item for one in popular} == {one.item for one in own}
    assert popular.filtered == own.filtered
    assert popular.continued
    some = replace(question, user=None, terms=replace(question.terms, candidates=["i05", "i07"]))
    assert [one.item for one in popular_answer(recommender.known, some)] == [
        one.item for one in recommender.answer([some])[0]
    ]


def test_beyond_the_queue_is_refused_at_once_and_says_when_to_come_again() -> None:
    with held(PATIENT.model_copy(update={"queue": 2})) as (one, model):
        waiting = [opened(one, ONE) for _ in range(2)]
        until(lambda: one.service.thread.waiting == 2)
        refused = one.post("/v1/recommend", ASKED)
        assert (refused.status_code, refused.json()["code"]) == (503, "over_capacity")
        assert refused.headers["retry-after"] == "1"
        model.may_end.set()
        assert [told(all_of(connection))[0] for connection in waiting] == [200, 200]
        assert one.post("/v1/recommend", ASKED).status_code == 200


def test_who_would_wait_too_long_is_refused_by_what_the_latest_questions_took() -> None:
    with held(PATIENT.model_copy(update={"wait": 0.5})) as (one, model):
        first = opened(one, ONE)
        assert model.begun.acquire(timeout=20)
        assert one.service.thread.each == 0  # nothing was measured yet: nobody is refused on a guess
        one.service.thread.measure(60, 1)  # longer than any pause of this machine
        assert one.post("/v1/recommend", ASKED).json()["code"] == "over_capacity"
        model.may_end.set()
        assert told(all_of(first))[0] == 200


def test_a_client_that_hangs_up_is_not_computed_for() -> None:
    with held() as (one, model):
        first = opened(one, ONE)
        assert model.begun.acquire(timeout=20)
        gone = opened(one, as_bytes(json.dumps({"history": ["i05"]}).encode()))
        until(lambda: one.service.thread.waiting == 2)
        gone.close()
        until(lambda: one.service.thread.waiting == 1)
        model.may_end.set()
        assert told(all_of(first))[0] == 200
        assert one.post("/v1/recommend", ASKED).status_code == 200
    assert [question.history for question in model.asked] == [["i03"], ["i03"]]
    assert [line["status"] for line in one.log() if line["event"] == "request"] == [499, 200, 200]


LARGE = ServiceSettings(port=0, drain_seconds=0, body_bytes=2048, body_seconds=0.2, header_seconds=0.2)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() -> None:
    with served(settings=LARGE) as one:
        status, problem = told(all_of(opened(one, as_bytes(b"", length=4096))))
        assert (status, problem["code"]) == (413, "too_large")
        assert "4,096 bytes" in str(problem["message"])


def test_a_body_that_turns_out_too_large_is_refused_before_its_end() -> None:
    with served(settings=LARGE) as one:
        head = b"POST /v1/recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        part = b"400\r\n" + b" " * 1024 + b"\r\n"
        status, problem = told(all_of(opened(one, head + b"transfer-encoding: chunked\r\n\r\n" + part * 3)))
        assert (status, problem["code"]) == (413, "too_large")


def test_who_is_slow_is_cut_off_and_disturbs_nobody() -> None:
    with served(settings=LARGE) as one:
        bodies = [opened(one, as_bytes(b"{", length=100)) for _ in range(20)]
        heads = [opened(one, b"POST /v1/recommend HTTP/1.1\r\nhost: x\r\n") for _ in range(20)]
        assert one.post("/v1/recommend", ASKED).status_code == 200
        assert {told(all_of(connection))[0] for connection in bodies} == {408}
        for connection in heads:
            assert b"200" not in all_of(connection)[:12]


def test_what_was_accepted_is_answered_after_the_service_was_told_to_end() -> None:
    with ExitStack() as stack:
        one, model = stack.enter_context(held(PATIENT.model_copy(update={"drain_seconds": 0.2})))
        first = opened(one, as_bytes(json.dumps(ASKED).encode()))
        assert model.begun.acquire(timeout=20)
        one.end()
        until(lambda: not one.service.is_ready)
        ready = one.client.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert ready.headers["connection"] == "close"
        until(lambda: is_closed(one.port))
        model.may_end.set()
        answer = all_of(first)
        assert told(answer)[0] == 200
        assert b"connection: close" in answer.lower()


def is_closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("is_asked_again", [True, False])
def test_what_never_ends_is_given_up_after_some_seconds_or_by_a_second_signal(is_asked_again: bool) -> None:
    seconds = 60.0 if is_asked_again else 0.3
    with ExitStack() as stack:
        one, model = stack.enter_context(held(PATIENT.model_copy(update={"stop_seconds": seconds})))
        connection = opened(one, ONE)
        assert model.begun.acquire(timeout=20)
        one.end()
        until(lambda: is_closed(one.port))
        if is_asked_again:
            one.end()
        until(lambda: any(line["event"] == "ended" for line in one.log()))  # the model computes still
        model.may_end.set()
        all_of(connection)
