"""Who is taken on: a flood is turned away by what is being read already, before the model hears of any of it."""

import asyncio
import io
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest

from nextitem.serving.service import admission
from nextitem.serving.service.admission import Admission
from nextitem.serving.service.arrival import LoopClock
from nextitem.serving.service.batching import ModelThread
from nextitem.serving.service.gate import Gate
from nextitem.serving.service.logs import Log
from nextitem.serving.service.service import Service
from nextitem.serving.service.settings import ServiceSettings
from worlds.served import models_of


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(admission, "time", SimpleNamespace(monotonic=lambda: self.now))


def made(most_waiting: int = 8, longest_wait: float = 0.05) -> tuple[Admission, ModelThread]:
    thread = ModelThread(most_waiting, 32)
    return Admission(thread, LoopClock(), most_waiting, longest_wait), thread


def test_bodies_that_are_being_read_count_as_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    found, thread = made(most_waiting=3)
    thread.waiting = 1
    found.begin("first")
    assert (found.waiting, found.is_over) == (2, False)
    found.begin("second")
    assert found.is_over
    found.leave("second")
    assert not found.is_over
    thread.measure(0.04, 1)  # two questions of 0.04 seconds are longer than 0.05
    assert found.wait == pytest.approx(2 * 0.04)
    assert found.is_over


def test_who_sends_slowly_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found, _ = made(most_waiting=2)
    found.begin("slow")
    clock.now += 0.015
    found.begin("later")
    assert found.is_over
    clock.now += 0.015  # longer than a server with nothing to do takes to hand a body over
    assert found.waiting == 1
    found.finish("slow")  # whole at last: nothing is learnt of the server from it
    assert (found.waiting, found.wait) == (1, 0)


def test_what_the_server_takes_to_hand_a_body_over_is_waited_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found, _ = made()
    for number in range(8):
        assert found.wait == 0  # a few may be slow clients
        found.begin(number)
        clock.now += 0.02 if number == 5 else 0.08
        found.finish(number)
        clock.now -= 0.07
    assert found.wait == pytest.approx(0.02)  # the least of all
    for number in range(8):
        found.begin(number)
    clock.now += 0.06
    for number in range(8):
        found.finish(number)
    assert found.is_over
    clock.now += 1  # nobody came since
    assert not found.is_over


class Sent:
    """What an application was asked and sent."""

    def __init__(self) -> None:
        self.messages: list[MutableMapping[str, Any]] = []
        self.may_come = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        await self.may_come.wait()
        return {"type": "http.request", "body": b"{}"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)


def test_a_flood_is_refused_before_it_is_read_and_told_as_a_number() -> None:
    written = io.StringIO()
    log = Log(written)

    async def inside(_: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def flood() -> list[Sent]:
        service = Service(models_of("popularity"), ServiceSettings(queue=2, wait=60))
        gate, found = Gate(inside, service, None, log), [Sent() for _ in range(5)]
        tasks = []
        for one in found:
            scope = {"type": "http", "method": "POST", "path": "/v1/recommend", "headers": []}
            tasks.append(asyncio.create_task(gate(scope, one.receive, one.send)))
        await asyncio.sleep(0)  # all have come, and no body has
        for one in found:
            one.may_come.set()
        await asyncio.gather(*tasks)
        assert b'nextitem_requests_total{route="/v1/recommend",status="503"} 3.0' in service.exposition()
        return found

    log.start()
    found = asyncio.run(flood())
    log.stop()
    assert [one.messages[0]["status"] for one in found] == [200, 200, 503, 503, 503]
    assert b"over_capacity" in found[-1].messages[1]["body"]
    assert (b"retry-after", b"1") in found[-1].messages[0]["headers"]
    assert '"event": "refused", "route": "/v1/recommend", "count": 3' in written.getvalue()
