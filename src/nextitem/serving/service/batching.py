"""One thread that computes, and a bounded line of what waits for it: whatever waits is answered in one pass.

No work is held back to make a batch larger. While the model is busy others arrive, so batches grow with the load by
themselves, and a lone question is answered at once. What takes longer goes in steps: after each pass one computation of
that kind goes on for some milliseconds, and never keeps questions waiting for longer.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import torch

from nextitem.serving.explaining.steps import Computed, Steps
from nextitem.serving.service.refusals import over_capacity

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""What answers several at once: as many answers as questions, in their order."""


_TURN = 0.008  # seconds that a computation in steps goes on before others have their turn
_NEWEST = 0.1  # what the latest pass weighs in the estimate of what a question takes
_LEAST_SLOPE = 0.3  # of what a question takes as a share of its pass, which is what one more takes at the most
_LONG = 3  # times what was to be expected: a pass that takes longer stood still, since something else had the processor
_PAUSE = 0.02  # seconds that it must have stood still for this to be a pause


class _Job:
    """One question, what answers it (None: it is a computation in steps), and the future that the answer is for."""

    __slots__ = ("asked", "future", "work")

    def __init__(self, work: Work | None, asked: Any, future: "asyncio.Future[Any]") -> None:
        self.work, self.asked, self.future = work, asked, future


class ModelThread:
    """A thread that takes all that waits, up to `most_together`, and computes it with `threads` threads of torch.

    All but the computation happens on the event loop, so that nothing here needs a lock.
    """

    def __init__(self, most_waiting: int, most_together: int, threads: int = 1, name: str = "model") -> None:
        self.most_waiting, self._most_together, self._threads = most_waiting, most_together, threads
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._going: deque[_Job] = deque()  # computations in steps that have begun
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0  # asked and not yet answered, those that are being computed among them
        self.batches = 0
        self._seconds = self._questions = 0.0  # of a pass, as a moving average
        self._squares = self._products = 0.0  # of questions, and of questions and seconds, likewise
        self.answered = 0
        self._pass: tuple[float, int] | None = None  # (when it began, of how many questions), of the one that goes on
        self._pause, self._paused = 0.0, float("-inf")  # seconds that the latest pause took, and when it was over
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work for the event loop that is running."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether whoever asks now is refused."""
        return self.waiting >= self.most_waiting

    @property
    def wait(self) -> float:
        """Seconds that whoever asks now can expect to wait, by what the latest questions took."""
        return self.seconds(self.waiting)

    @property
    def each(self) -> float:
        """Seconds that a question took lately, as a share of the passes that were made."""
        return self._seconds / self._questions if self._questions else 0.0

    def seconds(self, questions: int) -> float:
        """Seconds that so many will take together, by what the latest passes took.

        A pass takes some time for itself and some for each question: the line of least squares through the passes says
        how much, and within bounds, since their numbers may be all alike.
        """
        spread = self._squares - self._questions**2
        slope = (self._products - self._questions * self._seconds) / spread if spread > 0.01 else self.each
        slope = min(max(slope, _LEAST_SLOPE * self.each), self.each)
        alone = self._seconds - slope * self._questions
        return slope * questions + alone * max(min(questions, 1), questions / self._most_together)

    def submit(self, work: Work, asked: Any) -> "asyncio.Future[Any]":
        """The future answer; cancel it and nothing is computed that has not begun.

        Raises RefusedError at once where as many wait as may.
        """
        return self._submitted(work, asked)

    def work_out(self, steps: Steps[Computed]) -> "asyncio.Future[Computed]":
        """What the steps will have computed, a few at a time between passes; cancel it and no further one is taken.

        Raises RefusedError at once where as many wait as may.
        """
        return self._submitted(None, steps)

    def _submitted(self, work: Work | None, asked: Any) -> "asyncio.Future[Any]":
        if self._loop is None or self.is_full:
            raise over_capacity(self.waiting, self.wait)
        future = self._loop.create_future()
        self.waiting += 1
        future.add_done_callback(self._left)
        self._jobs.put(_Job(work, asked, future))
        return future

    def _left(self, _: "asyncio.Future[Any]") -> None:
        self.waiting -= 1

    def stop(self, seconds: float | None = None) -> None:
        """Answer what has been asked, and end; returns when that is done, or after `seconds` if it takes longer."""
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        is_ending = False
        while not is_ending or self._going:
            jobs, is_ending = ([], True) if is_ending else self._take()
            groups: dict[int, tuple[Work, list[_Job]]] = {}
            for job in jobs:
                if job.work is None:
                    self._going.append(job)
                elif not job.future.cancelled():  # nobody waits for it: the client hung up, or the deadline is over
                    groups.setdefault(id(job.work), (job.work, []))[1].append(job)
            for work, group in groups.values():
                self._compute(work, group)
            if self._going:
                self._go_on(self._going.popleft())

    def _take(self) -> tuple[list[_Job], bool]:
        """(what waits, whether the thread is to end afterwards); waits until there is something to do."""
        taken: list[_Job] = []
        while len(taken) < self._most_together:
            if (taken or self._going) and self._jobs.empty():
                break
            job = self._jobs.get()
            if job is None:
                return taken, True
            taken.append(job)
        return taken, False

    def _compute(self, work: Work, jobs: list[_Job]) -> None:
        start = time.perf_counter()
        self._pass = (start, len(jobs))
        found = _answers(work, [job.asked for job in jobs])
        self.measure(time.perf_counter() - start, len(jobs))
        self._pass = None
        self.batches += 1
        self._hand_over(jobs, found)

    def _go_on(self, job: _Job) -> None:
        """Take steps of a computation for the length of a turn; its next turn comes after those of others."""
        until = time.perf_counter() + _TURN
        try:
            while not job.future.cancelled():
                next(job.asked)
                if time.perf_counter() > until:
                    self._going.append(job)
                    return
            job.asked.close()
        except StopIteration as ended:
            self._hand_over([job], [ended.value])
        except Exception as error:
            self._hand_over([job], [error])

    def _hand_over(self, jobs: list[_Job], found: Sequence[Any]) -> None:
        self.answered += len(jobs)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_deliver, jobs, found)

    def pause(self, within: float) -> float:
        """Seconds that a pass stood still, until now or `within` so many seconds; 0 where none did."""
        now, going = time.perf_counter(), self._pass
        if going is not None and (still := self._still(now - going[0], going[1])):
            return still
        return self._pause if now - self._paused < within else 0.0

    def measure(self, seconds: float, questions: int) -> None:
        """Note what a pass took."""
        if still := self._still(seconds, questions):
            self._pause, self._paused = still, time.perf_counter()
        if self._questions:  # a pause says nothing of what a question takes
            seconds = min(seconds, _LONG * self._expected(questions))
        newest = _NEWEST if self._questions else 1.0
        self._seconds += newest * (seconds - self._seconds)
        self._questions += newest * (questions - self._questions)
        self._squares += newest * (questions**2 - self._squares)
        self._products += newest * (questions * seconds - self._products)

    def _expected(self, questions: int) -> float:
        """Seconds of a pass at the most; one of fewer questions than lately takes no longer than those did."""
        return self.each * max(questions, self._questions)

    def _still(self, seconds: float, questions: int) -> float:
        """How long a pass stood still; 0 for no pause."""
        still = seconds - self._expected(questions)
        return still if self._questions and still >= _PAUSE and seconds > _LONG * self._expected(questions) else 0.0


def _answers(work: Work, asked: Sequence[Any]) -> Sequence[Any]:
    """The answers; in the place of one that there is none to, what was wrong with its question."""
    try:
        return work(asked)
    except Exception as error:
        # Whoever asked something impossible must not take the others along.
        return [error] if len(asked) == 1 else [_answers(work, [one])[0] for one in asked]


def _deliver(jobs: list[_Job], found: Sequence[Any]) -> None:
    for job, one in zip(jobs, found, strict=True):
        if job.future.done():
            continue
        if isinstance(one, BaseException):
            job.future.set_exception(one)
        else:
            job.future.set_result(one)
