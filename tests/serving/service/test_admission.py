"""Who is taken on: a flood is turned away by what is being read already, before the model hears of any of it."""

import asyncio
import io
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any

import pytest

from nextitem.serving.service import admission, arrival
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


class Loop(LoopClock):
    """An event loop that has pauses when a test says so."""

    seconds = 0.0

    def pause(self, within: float) -> float:
        return self.seconds


def made(most_waiting: int = 8, longest_wait: float = 0.05) -> tuple[Admission, ModelThread, Loop]:
    thread, loop = ModelThread(most_waiting, 32), Loop()
    return Admission(thread, loop, most_waiting, longest_wait, deadline=0.25), thread, loop


def after_a_pause(seconds: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, Admission, ModelThread, Loop]:
    """Nobody waited, and then nothing went on for so long; a question takes a millisecond."""
    clock = Clock(monkeypatch)
    found, thread, loop = made(most_waiting=64)
    thread.measure(0.001, 1)
    assert found.admits()
    clock.now += seconds
    loop.seconds = seconds
    return clock, found, thread, loop


def test_bodies_that_are_being_read_count_as_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    found, thread, _ = made(most_waiting=3)
    thread.waiting = 1
    found.begin("first")
    assert (found.waiting, found.admits()) == (2, True)
    found.begin("second")
    assert not found.admits()
    found.leave("second")
    assert found.admits()
    thread.measure(0.04, 1)  # two questions of 0.04 seconds are longer than 0.05
    assert found.wait == pytest.approx(2 * 0.04)
    assert not found.admits()


def test_who_sends_slowly_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found, _, _ = made(most_waiting=2)
    found.begin("slow")
    clock.now += 0.002
    found.begin("later")
    assert not found.admits()
    clock.now += 0.002
    found.finish("later")
    assert found.waiting == 1  # two milliseconds are no proof
    found.begin("latest")
    clock.now += 0.001
    found.finish("latest")
    assert (found.waiting, found.wait) == (0, 0)
    found.finish("slow")  # whole at last: nothing is learnt of the server from it
    assert (found.waiting, found.wait) == (0, 0)


def test_who_never_sends_holds_no_place_for_longer_than_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found, _, _ = made()
    found.begin("slow")
    clock.now += 0.09
    assert found.waiting == 1
    clock.now += 0.02
    assert found.waiting == 0


def test_slow_senders_that_come_together_keep_others_out_for_some_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred bodies begin and none of them ends; others come every two milliseconds, and send theirs in one."""
    clock = Clock(monkeypatch)
    found, _, _ = made(most_waiting=64)
    for number in range(200):
        found.begin(number)
    refused = 0
    for number in range(50):
        clock.now += 0.001
        if found.admits():
            found.begin(f"other {number}")
            clock.now += 0.001
            found.finish(f"other {number}")
        else:
            refused += 1
            clock.now += 0.001
    assert refused == 2  # it takes five milliseconds to try


def test_of_a_flood_hardly_more_is_taken_on_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found, thread, _ = made(most_waiting=64)
    thread.measure(0.001, 1)
    admitted = 0
    for number in range(200):  # in 0.04 seconds, in which no body is whole
        clock.now += 0.0002
        if found.admits():
            found.begin(number)
            admitted += 1
    assert admitted == 51 + 6  # 0.05 seconds of a millisecond each, and one in five milliseconds beside
    for number in range(30):  # they are handed over in their order, a little mixed
        found.finish(number ^ 1)
    assert found.waiting == 27  # none of the others has lost its place
    thread.waiting = 30
    assert not found.admits()
    clock.now += 0.02
    assert not found.admits()  # the model has enough to do


def test_the_line_that_a_pause_leaves_is_taken_on_if_there_was_none_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, found, thread, loop = after_a_pause(0.08, monkeypatch)
    for thread.waiting in range(130):
        assert found.admits()  # 0.13 seconds: as long as the pause more than otherwise
    assert not thread.is_full
    thread.waiting = 131
    assert not found.admits()
    thread.waiting, loop.seconds = 60, 0.0
    clock.now += 0.25
    assert not found.admits()
    loop.seconds = 0.08  # a pause while there is a line already leaves a line that is load
    assert not found.admits()
    assert thread.most_waiting == 64


def test_after_a_pause_as_much_is_taken_on_as_the_deadline_leaves_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found, thread, loop = after_a_pause(0.16, monkeypatch)
    thread.waiting = 89  # of 0.25 seconds 0.16 are gone
    assert found.admits()
    thread.waiting = 91
    assert not found.admits()
    loop.seconds = 0.3  # nobody could be answered in time: as otherwise
    thread.waiting = 49
    assert found.admits()
    thread.waiting = 51
    assert not found.admits()


def test_an_event_loop_that_did_nothing_for_a_while_had_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = [10.0], []
    loop = SimpleNamespace(time=lambda: now[0], call_at=lambda when, look: looks.append((when, look)))
    monkeypatch.setattr(arrival, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(arrival, "asyncio", SimpleNamespace(get_running_loop=lambda: loop))
    clock = LoopClock()
    assert clock.pause(0.25) == 0
    clock.start()
    now[0] = looks[-1][0] + 0.019
    assert clock.pause(0.25) == 0
    now[0] = looks[-1][0] + 0.06
    assert clock.pause(0.25) == pytest.approx(0.06)  # before it has looked
    looks[-1][1]()
    for _ in range(12):
        now[0] = looks[-1][0]
        looks[-1][1]()
        assert clock.pause(0.25) == pytest.approx(0.06)
    now[0] = looks[-1][0]
    looks[-1][1]()
    assert clock.pause(0.25) == 0


def test_what_the_server_takes_to_hand_a_body_over_is_waited_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found, _, _ = made()
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
    assert not found.admits()
    clock.now += 1  # nobody came since
    assert found.admits()


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
