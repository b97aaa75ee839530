"""Log lines as JSON on stderr, written by a thread of their own: a slow reader of a log slows no answer down."""

import json
import sys
import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TextIO

_MOST = 100_000  # lines that wait; what comes beyond is counted and not kept
_COUNTED = 1.0  # seconds between two lines of a number
_EVERY = 0.05  # seconds between two writes, which then write all that waits


class Log:
    """Lines of one JSON object each: `time`, `event`, and what belongs to it. Ids are nowhere among it by default.

    One that `is_silent` writes none.
    """

    def __init__(self, stream: TextIO | None = None, *, is_silent: bool = False) -> None:
        self._is_silent = is_silent
        self._stream = sys.stderr if stream is None else stream
        self._lines: deque[tuple[float, str, dict[str, object]]] = deque()
        self._dropped = 0
        self._counted: deque[tuple[str, str]] = deque()
        self._told = 0.0
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._is_ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def line(self, event: str, fields: dict[str, object]) -> None:
        """One more line; returns at once."""
        if self._is_silent:
            return
        if len(self._lines) < _MOST:
            self._lines.append((time.time(), event, fields))
        else:
            self._dropped += 1

    def count(self, event: str, route: str) -> None:
        """One more of what is told once a second, as a number by route: a line for each would cost too much."""
        if not self._is_silent:
            self._counted.append((event, route))

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._is_ending.wait(_EVERY)
            taken = [self._lines.popleft() for _ in range(len(self._lines))]
            if self._counted and (is_last or time.monotonic() > self._told + _COUNTED):
                taken += self._counts()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                taken.append((time.time(), "lines dropped", {"count": dropped}))
            if taken:
                self._stream.write("".join(map(_as_line, taken)))
                self._stream.flush()

    def _counts(self) -> list[tuple[float, str, dict[str, object]]]:
        self._told, at = time.monotonic(), time.time()
        counts = Counter(self._counted.popleft() for _ in range(len(self._counted)))
        return [(at, event, {"route": route, "count": count}) for (event, route), count in counts.items()]


def _as_line(one: tuple[float, str, dict[str, object]]) -> str:
    at, event, fields = one
    told = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": told, "event": event, **fields}) + "\n"
