"""An open-loop load generator that costs little: one thread, raw sockets, one epoll.

Requests are sent when they are due (Poisson arrivals), whether or not earlier ones were answered, and a latency counts
from that moment: a server that stalls cannot slow its own measurement down. Whoever has no free connection opens one.
"""

import random
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Outcome:
    """What became of all requests of a run."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Milliseconds from the scheduled time, of every answer with status 200 that a model gave."""
    statuses: Counter[int] = field(default_factory=Counter)
    fallbacks: int = 0
    """Answers by popularity since the deadline was over."""
    lost: int = 0
    """Requests that were sent and whose connection ended before an answer, or that had none when the run ended."""
    refused: int = 0
    """Connections that nobody took: nothing was sent on them."""
    late: float = 0.0
    """Milliseconds that the generator itself was behind its schedule at worst."""

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def figures(self) -> dict[str, object]:
        ok = len(self.latencies)
        return {
            "seconds": round(self.seconds, 1),
            "answered_per_second": round(ok / self.seconds, 1) if self.seconds else 0,
            "p50_ms": round(self.percentile(0.5), 2),
            "p95_ms": round(self.percentile(0.95), 2),
            "p99_ms": round(self.percentile(0.99), 2),
            "p999_ms": round(self.percentile(0.999), 2),
            "worst_ms": round(max(self.latencies, default=float("nan")), 2),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "fallbacks": self.fallbacks,
            "lost": self.lost,
            "refused": self.refused,
            "generator_late_ms": round(self.late, 2),
        }


class _Connection:
    __slots__ = ("due", "got", "is_closing", "left", "socket", "status")

    def __init__(self, opened: socket.socket) -> None:
        self.socket, self.due, self.got, self.left, self.status = opened, 0.0, b"", -1, 0
        self.is_closing = False


def request(path: str, body: bytes, headers: str = "") -> bytes:
    """A POST as bytes, to be sent as it is."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{head}{headers}\r\n".encode() + body


def arrivals(rate: float, seconds: float, seed: int = 0) -> Iterator[float]:
    """Seconds after the start at which requests are due: a Poisson process."""
    draws, at = random.Random(seed), 0.0
    while (at := at + draws.expovariate(rate)) < seconds:
        yield at


class OpenLoop:
    """Requests sent to one address as they become due; `run` may be called again and again."""

    def __init__(self, address: str, most_connections: int = 1024) -> None:
        split = urlsplit(address)
        self._at = (split.hostname or "127.0.0.1", split.port or 80)
        self._most = most_connections
        self._poll = select.epoll()
        self._all: dict[int, _Connection] = {}
        self._idle: list[_Connection] = []

    def run(
        self,
        due: Iterator[float],
        requests: Sequence[bytes],
        *,
        patience: float = 10.0,
        each_second: Callable[[float], None] | None = None,
    ) -> Outcome:
        """Send the requests in turn at the times that are due; returns when all are answered, or patience is over."""
        outcome, waiting, number = Outcome(), deque[float](), 0
        start = time.perf_counter()
        upcoming: float | None = next(due, None)
        told = last = 0.0
        while upcoming is not None or waiting or len(self._idle) < len(self._all):
            now = time.perf_counter() - start
            while upcoming is not None and upcoming <= now:
                outcome.late = max(outcome.late, (now - upcoming) * 1000)
                waiting.append(upcoming)
                last, upcoming = upcoming, next(due, None)
            while waiting and (connection := self._free(outcome)) is not None:
                connection.due = start + waiting.popleft()
                self._send(connection, requests[number % len(requests)], outcome)
                number += 1
            if upcoming is None and now > last + patience:
                outcome.lost += len(self._all) - len(self._idle) + len(waiting)
                self.close()
                break
            if each_second is not None and now - told >= 1:
                told = now
                each_second(now)
            gap = 0.05 if upcoming is None else max(0.0, upcoming - (time.perf_counter() - start))
            for number_of, _ in self._poll.poll(min(gap, 0.05)):
                self._read(self._all[number_of], outcome)
            if waiting and not self._all:  # nobody listens any more
                outcome.refused += len(waiting)
                waiting.clear()
        outcome.seconds = time.perf_counter() - start
        return outcome

    def close(self) -> None:
        for connection in [*self._all.values()]:
            self._drop(connection)

    def _free(self, outcome: Outcome) -> _Connection | None:
        if self._idle:
            return self._idle.pop()
        if len(self._all) >= self._most:
            return None
        opened = socket.socket()
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            opened.connect(self._at)
        except OSError:
            opened.close()
            return None
        opened.setblocking(False)
        connection = _Connection(opened)
        self._all[opened.fileno()] = connection
        self._poll.register(opened.fileno(), select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection, content: bytes, outcome: Outcome) -> None:
        try:
            connection.socket.sendall(content)
        except OSError:
            outcome.lost += 1
            self._drop(connection)

    def _read(self, connection: _Connection, outcome: Outcome) -> None:
        try:
            part = connection.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            if connection in self._idle:
                self._idle.remove(connection)
            else:
                outcome.lost += 1
            self._drop(connection)
            return
        connection.got += part
        head, found, body = connection.got.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        status = int(head[9:12])
        outcome.statuses[status] += 1
        if status == 200:
            if b'"fallback":"deadline"' in body:
                outcome.fallbacks += 1
            else:
                outcome.latencies.append((time.perf_counter() - connection.due) * 1000)
        connection.got = b""
        if b"connection: close" in head.lower():
            self._drop(connection)
        else:
            self._idle.append(connection)

    def _drop(self, connection: _Connection) -> None:
        if self._all.pop(connection.socket.fileno(), None) is not None:
            self._poll.unregister(connection.socket.fileno())
            connection.socket.close()
        if connection in self._idle:
            self._idle.remove(connection)


def _length(head: bytes) -> int:
    lower = head.lower()
    place = lower.find(b"content-length:")
    return int(lower[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
