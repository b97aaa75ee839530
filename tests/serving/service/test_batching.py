"""One thread for what is short and for what is long: lists never wait for the whole of an explanation."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from nextitem.serving.explaining.steps import Steps
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
