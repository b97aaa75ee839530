"""What the service did so far: for Prometheus, and as figures for people."""

import time
from collections import deque

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
_LATEST = 2048  # requests whose latency the percentiles of `figures` are taken from


class Measures:
    """Counters and clocks of one service."""

    def __init__(self) -> None:
        self._registry = r = CollectorRegistry()
        self._requests = Counter("nextitem_requests", "By route and status.", ["route", "status"], registry=r)
        self._seconds = Histogram(
            "nextitem_request_seconds", "From headers to answer.", ["route"], buckets=_BUCKETS, registry=r
        )
        self._answers = Counter("nextitem_answers", "Lists, by what they are from.", ["model", "source"], registry=r)
        self._reloads = Counter("nextitem_reloads", "By outcome.", ["model", "outcome"], registry=r)
        self._waiting = Gauge("nextitem_waiting", "Questions that wait for the model or are computed.", registry=r)
        self._batches = Gauge("nextitem_batches", "Passes of the model so far.", registry=r)
        self._computed = Gauge("nextitem_computed", "Questions that were computed in them.", registry=r)
        self._loaded = Gauge("nextitem_model_loaded_seconds", "When, in unix seconds.", ["model"], registry=r)
        self._latest: deque[float] = deque(maxlen=_LATEST)
        self._arrived: deque[float] = deque(maxlen=_LATEST)
        self._of_routes: dict[tuple[str, int], Counter] = {}
        self._clocks: dict[str, Histogram] = {}
        self.requests = 0

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered or refused."""
        key = (route, status)
        if key not in self._of_routes:  # looking a label up costs more than counting
            self._of_routes[key] = self._requests.labels(route, str(status))
            self._clocks[route] = self._seconds.labels(route)
        self._of_routes[key].inc()
        self._clocks[route].observe(seconds)
        self.requests += 1
        self._latest.append(seconds)
        self._arrived.append(time.monotonic())

    def answer(self, model: str, source: str) -> None:
        """A list was made."""
        self._answers.labels(model, source).inc()

    def reload(self, model: str, outcome: str) -> None:
        """A model was reloaded, or was not: `done` or `refused`."""
        self._reloads.labels(model, outcome).inc()

    def percentiles(self) -> dict[str, float]:
        """Milliseconds of the latest requests: p50, p95, p99; empty before the first."""
        ordered = sorted(self._latest)
        places = {"p50": 0.5, "p95": 0.95, "p99": 0.99} if ordered else {}
        return {name: round(1000 * ordered[int(at * (len(ordered) - 1))], 2) for name, at in places.items()}

    def rate(self, seconds: float = 10.0) -> float:
        """Requests a second over the last seconds, as far back as is remembered."""
        now = time.monotonic()
        recent = [at for at in self._arrived if at > now - seconds]
        span = seconds if len(recent) < _LATEST else max(now - recent[0], 1e-3)
        return len(recent) / span

    def exposition(self, waiting: int, batches: int, computed: int, loaded: dict[str, float]) -> bytes:
        """All of it in Prometheus' text format, with what is true now."""
        self._waiting.set(waiting)
        self._batches.set(batches)
        self._computed.set(computed)
        for name, at in loaded.items():
            self._loaded.labels(name).set(at)
        return generate_latest(self._registry)
