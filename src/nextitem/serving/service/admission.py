"""Whether there is room for one more question, asked before anything of it is read."""

import time
from collections import deque

from nextitem.serving.service.arrival import LoopClock
from nextitem.serving.service.batching import ModelThread

# Seconds for which a body that is being read stands for a question: three times what the server takes to hand one over
# now, within these bounds. Who sends slowly holds no place for longer.
_LEAST_READ, _MOST_READ, _TIMES = 0.02, 0.1, 3
_LATEST = 8  # bodies: the fastest of them says what the server takes, since one client may be slow and not all


class Admission:
    """What waits for a model, bodies that are being read among it, and how long whoever comes now would wait.

    A server under load takes tens of milliseconds from a request's headers to its body. Whoever counted only the
    questions that have reached the model would let in all who come meanwhile.
    """

    def __init__(self, thread: ModelThread, clock: LoopClock, most_waiting: int, longest_wait: float) -> None:
        self._thread, self._clock = thread, clock
        self._most_waiting, self._longest_wait = most_waiting, longest_wait
        self._reading: dict[object, float] = {}  # since when, the first to come first
        self._read: deque[tuple[float, float]] = deque(maxlen=_LATEST)  # (when a body was whole, seconds it took)

    def begin(self, reader: object) -> None:
        """A body begins to be read."""
        self._reading[reader] = time.monotonic()

    def finish(self, reader: object) -> None:
        """It is whole: what it asks is about to wait for the model, or is refused."""
        if (begun := self._reading.pop(reader, None)) is not None:
            now = time.monotonic()
            self._read.append((now, now - begun))

    def leave(self, reader: object) -> None:
        """It will never be whole."""
        self._reading.pop(reader, None)

    @property
    def waiting(self) -> int:
        """Questions before that of whoever comes now."""
        since = time.monotonic() - min(max(_LEAST_READ, _TIMES * self._handing_over), _MOST_READ)
        while self._reading and next(iter(self._reading.values())) < since:
            del self._reading[next(iter(self._reading))]
        return self._thread.waiting + len(self._reading)

    @property
    def wait(self) -> float:
        """Seconds that whoever comes now can expect to wait."""
        # Where the event loop is late, whoever is heard now has waited as long already.
        return self.waiting * self._thread.each + max(self._clock.steadily_late, self._handing_over)

    @property
    def is_over(self) -> bool:
        """Whether whoever comes now is refused."""
        return self.waiting >= self._most_waiting or self.wait > self._longest_wait

    @property
    def _handing_over(self) -> float:
        """Seconds that the server takes from headers to body, at the least of the latest times; 0 where few came."""
        if len(self._read) < _LATEST or self._read[0][0] < time.monotonic() - 2 * _MOST_READ:
            return 0.0
        return min(seconds for _, seconds in self._read)
