"""When a request came, as far as a process can know that its event loop had no time for it yet."""

import asyncio
import time
from contextvars import ContextVar

_EVERY = 0.02  # seconds between two looks at how late the event loop is
_PAUSE = 0.02  # seconds: an event loop that is later had a pause, it or the whole machine
_ARRIVED: ContextVar[float | None] = ContextVar("nextitem_arrived", default=None)


class LoopClock:
    """How late the event loop is: what is due now began to wait that many seconds ago."""

    def __init__(self) -> None:
        self._seconds = self._before = 0.0
        self._due = float("inf")
        self._pause, self._paused = 0.0, float("-inf")  # seconds of the latest pause, and its end
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, on the event loop that is running."""
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + _EVERY
        self._timer = self._loop.call_at(self._due, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def late(self) -> float:
        """Seconds that the loop was late when it last looked, or has been late since."""
        return max(self._seconds, time.monotonic() - self._due, 0.0)

    @property
    def steadily_late(self) -> float:
        """Seconds that it was late at each of the latest two looks: a single stall is no load."""
        return min(self._before, self.late)

    def pause(self, within: float) -> float:
        """Seconds that the loop did nothing at all, until now or `within` so many seconds; 0 where it had no pause."""
        now = time.monotonic()
        if now - self._due >= _PAUSE:
            return now - self._due
        return self._pause if now - self._paused < within else 0.0

    def _look(self) -> None:
        now = self._loop.time()
        self._before, self._seconds = self._seconds, now - self._due
        if self._seconds >= _PAUSE:
            self._pause, self._paused = self._seconds, now
        self._due = now + _EVERY
        self._timer = self._loop.call_at(self._due, self._look)


def arrive(late: float) -> float:
    """Note, for all that is done for the request of this task, that it came `late` seconds ago; returns when.

    In seconds of time.monotonic().
    """
    at = time.monotonic() - late
    _ARRIVED.set(at)
    return at


def arrived() -> float:
    """When the request came that this is done for; now where it is done for none."""
    at = _ARRIVED.get()
    return time.monotonic() if at is None else at
