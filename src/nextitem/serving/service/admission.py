"""Whether there is room for one more question, asked before anything of it is read."""

import time
from collections import deque

from nextitem.serving.service.arrival import LoopClock
from nextitem.serving.service.batching import ModelThread

_MOST_READ = 0.1  # seconds for which a body that is being read stands for a question, at the most
_LEAST_SLOW, _TIMES = 0.003, 3  # who is later than bodies that began so many seconds, or times what one takes, after it
_LATEST = 8  # bodies: the fastest of them says what the server takes, since one client may be slow and not all
_TRIED = 0.005  # seconds between two who are taken on to find out whether what is being read ever comes
_CALM = 0.5  # of the longest wait: below it the line is short
_AFTER_CALM = 0.1  # seconds from a short line to the pause that it came to
_AFTER_PAUSE = 0.25  # seconds in which a line that a pause left may be longer
_TIMES_WAITING = 4  # as many as otherwise may wait then


class Admission:
    """What waits for a model, bodies that are being read among it, and how long whoever comes now would wait.

    A server under load takes tens of milliseconds from a request's headers to its body. Whoever counted only the
    questions that have reached the model would let in all who come meanwhile.

    A pause of the machine leaves a line that is no load: where it was short before, all of it is taken on that can be
    answered within the deadline.
    """

    def __init__(
        self, thread: ModelThread, clock: LoopClock, most_waiting: int, longest_wait: float, deadline: float
    ) -> None:
        self._thread, self._clock = thread, clock
        self._most_waiting, self._longest_wait, self._deadline = most_waiting, longest_wait, deadline
        self._reading: dict[object, float] = {}  # since when, the first to come first
        self._read: deque[tuple[float, float]] = deque(maxlen=_LATEST)  # (when a body was whole, seconds it took)
        self._whole = self._tried = self._calm = float("-inf")  # the latest beginning of a body that is whole, and when

    def begin(self, reader: object) -> None:
        """A body begins to be read."""
        self._reading[reader] = time.monotonic()

    def finish(self, reader: object) -> None:
        """It is whole: what it asks is about to wait for the model, or is refused."""
        if (begun := self._reading.pop(reader, None)) is not None:
            now = time.monotonic()
            self._read.append((now, now - begun))
            self._whole = max(self._whole, begun)

    def leave(self, reader: object) -> None:
        """It will never be whole."""
        self._reading.pop(reader, None)

    def admits(self) -> bool:
        """Whether whoever comes now is taken on; to be asked once of each."""
        now, pause = time.monotonic(), max(one.pause(_AFTER_PAUSE) for one in (self._clock, self._thread))
        waiting, longest, most = self.waiting, self._longest_wait, self._most_waiting
        wait = self._seconds(waiting)
        if not pause:
            self._calm = now if wait < _CALM * longest else float("-inf")
        elif self._thread.each and now - self._calm < pause + _AFTER_PAUSE + _AFTER_CALM:
            longest = max(longest, min(longest + pause, self._deadline - pause))
            most *= _TIMES_WAITING
        self._thread.most_waiting = most
        return (waiting < most and wait <= longest) or self._tries(now)

    def _tries(self, now: float) -> bool:
        """Whether one more is taken on to find out whether the bodies that are in the way ever come.

        If their clients are slow it will be whole before them, and they hold no place any more.
        """
        waiting, oldest = self._thread.waiting, next(iter(self._reading.values()), now)
        is_short = waiting < self._most_waiting and self._seconds(waiting) < _CALM * self._longest_wait
        if not is_short or now - max(self._tried, oldest) < _TRIED:
            return False
        self._tried = now
        return True

    @property
    def waiting(self) -> int:
        """Questions before that of whoever comes now."""
        # The server hands bodies over about in the order of their requests: one that lets later ones pass is slow.
        slow = self._whole - max(_LEAST_SLOW, _TIMES * self._handing_over)
        since = max(slow, time.monotonic() - _MOST_READ)
        while self._reading and next(iter(self._reading.values())) < since:
            del self._reading[next(iter(self._reading))]
        return self._thread.waiting + len(self._reading)

    @property
    def wait(self) -> float:
        """Seconds that whoever comes now can expect to wait."""
        return self._seconds(self.waiting)

    def _seconds(self, waiting: int) -> float:
        # Where the event loop is late, whoever is heard now has waited as long already.
        return self._thread.seconds(waiting) + max(self._clock.steadily_late, self._handing_over)

    @property
    def _handing_over(self) -> float:
        """Seconds that the server takes from headers to body, at the least of the latest times; 0 where few came."""
        if len(self._read) < _LATEST or self._read[0][0] < time.monotonic() - 2 * _MOST_READ:
            return 0.0
        return min(seconds for _, seconds in self._read)
