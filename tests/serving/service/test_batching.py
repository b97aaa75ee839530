"""One thread for what is short and for what is long: lists never wait for the whole of an explanation."""

import asyncio
import threading
import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from nextitem.serving.explaining.steps import Steps
from nextitem.serving.service import batching
from nextitem.serving.service.batching import ModelThread


def long(steps: int, seconds: float, taken: list[str], name: str = "step") -> Steps[str]:
    for _ in range(steps):
        time.sleep(seconds)
        taken.append(name)
        yield
    return "done"


def test_questions_are_answered_between_the_steps_of_something_long() -> None:
    taken = list[str]()

    def work(asked: Sequence[object]) -> Sequence[object]:
        taken.append("list")
        return asked

    async def run() -> None:
        thread = ModelThread(8, 8)
        thread.start()
        far = thread.work_out(long(40, 0.01, taken))
        for number in range(3):
            while taken.count("step") < 5 * (number + 1):
                await asyncio.sleep(0.001)
            assert await thread.submit(work, number) == number
        assert taken.count("step") < 40
        assert await far == "done"
        assert thread.each < 0.01  # what is long says nothing of what a question takes
        thread.stop()

    asyncio.run(run())
    assert (taken.count("list"), taken.count("step")) == (3, 40)


def test_several_long_computations_take_turns_and_one_that_nobody_waits_for_ends() -> None:
    taken = list[str]()

    async def run() -> None:
        thread = ModelThread(8, 8)
        thread.start()
        given_up = thread.work_out(long(10_000, 0.002, taken, "given up"))
        other = thread.work_out(long(20, 0.002, taken, "other"))
        assert await other == "done"
        given_up.cancel()
        await asyncio.sleep(0)
        assert thread.waiting == 0
        await asyncio.to_thread(thread.stop)

    asyncio.run(run())
    assert 10 < taken.count("given up") < 100


def test_what_goes_wrong_in_a_step_is_told_and_the_thread_goes_on_to_its_end() -> None:
    def wrong() -> Steps[int]:
        yield
        raise ValueError("no such thing")

    async def run() -> None:
        thread, may_begin = ModelThread(8, 8), threading.Event()
        thread.start()

        def after() -> Steps[int]:
            may_begin.wait(10)
            yield
            return 7

        first, second = thread.work_out(wrong()), thread.work_out(after())
        with pytest.raises(ValueError, match="no such thing"):
            await first
        stopping = asyncio.create_task(asyncio.to_thread(thread.stop))
        may_begin.set()
        assert await second == 7
        await stopping

    asyncio.run(run())


def test_a_pass_that_stood_still_says_little_of_what_a_question_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr(batching, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    thread = ModelThread(8, 32)
    assert (thread.pause(1.0), thread.each) == (0, 0)
    thread.measure(0.002, 2)
    thread.measure(0.082, 2)  # 0.08 seconds more than it should be
    assert thread.pause(1.0) == pytest.approx(0.08)
    assert thread.each == pytest.approx(0.9 * 0.001 + 0.1 * 0.003)  # no more than three times of what it was
    thread.measure(0.02, 20)
    now[0] += 1.1
    assert thread.pause(1.0) == 0
    for _ in range(40):
        thread.measure(0.02, 2)  # slow for good
    assert thread.each == pytest.approx(0.01, rel=0.05)


def test_a_pass_that_stands_still_is_a_pause_before_it_ends() -> None:
    async def asked() -> float:
        thread, begun, may_end = ModelThread(8, 32), threading.Event(), threading.Event()

        def work(questions: Sequence[int]) -> Sequence[int]:
            begun.set()
            may_end.wait(20)
            return questions

        thread.start()
        thread.measure(0.001, 1)
        answer = thread.submit(work, 1)
        begun.wait(20)
        await asyncio.sleep(0.03)
        found = thread.pause(0.0)
        may_end.set()
        assert await answer == 1
        thread.stop(20)
        return found

    assert asyncio.run(asked()) >= 0.025


def test_a_line_takes_less_than_its_questions_one_by_one_where_a_pass_takes_time_for_itself() -> None:
    thread = ModelThread(64, 32)
    for questions in [1, 2, 1, 4, 1, 3] * 10:
        thread.measure(0.002 + 0.001 * questions, questions)
    assert thread.each == pytest.approx(0.002, rel=0.2)
    assert thread.seconds(20) == pytest.approx(0.002 + 0.020, rel=0.05)
    assert thread.seconds(64) == pytest.approx(2 * 0.002 + 0.064, rel=0.05)  # two passes
    assert thread.seconds(0) == 0
    for _ in range(100):
        thread.measure(0.034, 32)
    assert thread.seconds(32) == pytest.approx(0.034)  # all alike: as much as they took
