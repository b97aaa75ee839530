"""Two services with one PostgreSQL server, which is started here: does each know at once what the other was told?"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import polars as pl
from open_loop import OpenLoop, Outcome, arrivals
from running import Running

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from worlds.postgres import running

_EACH = 0.05  # seconds between two events


@dataclass
class _Told:
    """What became of events that one service was told, each asked of the other as soon as it was acknowledged."""

    seen: int = 0
    missed: int = 0
    refused: int = 0
    """Events that were not acknowledged."""
    undecided: int = 0
    """Acknowledged ones of which the other's answer does not tell: it was none, or came after the deadline."""
    stored_ms: list[float] = field(default_factory=list)
    answered_ms: list[float] = field(default_factory=list)


def replicas(asked: argparse.Namespace, requests: Sequence[bytes]) -> dict[str, object]:
    """Both services under load, and meanwhile events of new users told to one and asked of the other, in turn.

    Of a new user a service knows nothing but that event: whoever answers by the model has read it. Services wait here
    (`--deadline 10 --wait 10`), since a list of popular items in place of a late one would tell nothing of that.
    """
    users = pl.read_parquet(asked.run / "users.parquet", columns=["user"])["user"]
    item = pl.read_parquet(asked.run / "items.parquet", columns=["item"])["item"][0]
    name: Callable[[int], str | int] = (lambda n: f"new {n}") if users.dtype == pl.String else (lambda n: 10**12 + n)
    with running() as database:
        options = ("--events", database.address, "--deadline", "10", "--wait", "10")
        with Running([asked.run], *options) as first, Running([asked.run], *options) as second:
            loads, is_over, told = [Outcome(), Outcome()], threading.Event(), _Told()

            def load(place: int, server: Running) -> None:
                due = arrivals(asked.rate, asked.seconds, asked.seed + place)
                loads[place] = OpenLoop(server.address).run(due, requests)

            threads = [threading.Thread(target=load, args=each) for each in enumerate((first, second))]
            for thread in threads:
                thread.start()
            events = threading.Thread(target=_tell, args=(told, (first, second), name, item, is_over))
            events.start()
            for thread in threads:
                thread.join()
            is_over.set()
            events.join()
    return {
        "asked_per_second_each": asked.rate,
        "events": {
            "seen": told.seen,
            "missed": told.missed,
            "refused": told.refused,
            "undecided": told.undecided,
            "stored_ms": _quantiles(told.stored_ms),
            "answered_by_the_other_ms": _quantiles(told.answered_ms),
        },
        "load": [one.figures() for one in loads],
    }


def _tell(
    told: _Told, servers: Sequence[Running], name: Callable[[int], str | int], item: object, is_over: threading.Event
) -> None:
    lines, number = [HTTPConnection(one.host, one.port, timeout=30) for one in servers], 0
    while not is_over.wait(_EACH):
        number += 1
        to, other = lines[number % 2], lines[1 - number % 2]
        event = {"user": name(number), "item": item, "time": time.time()}
        status, _, milliseconds = _asked(to, "/v1/events", event)
        if status not in (200, 201):
            told.refused += 1
            continue
        told.stored_ms.append(milliseconds)
        status, answer, milliseconds = _asked(other, "/v1/recommend", {"user": name(number), "k": 10})
        if status != 200 or answer["fallback"] == "deadline":  # popular items, whatever is known of the user
            told.undecided += 1
            continue
        told.answered_ms.append(milliseconds)
        told.seen += answer["source"] == "model"
        told.missed += answer["source"] != "model"


def _asked(line: HTTPConnection, path: str, body: dict[str, object]) -> tuple[int, dict[str, object], float]:
    """(status, answer, milliseconds)."""
    start = time.perf_counter()
    line.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = line.getresponse()
    content = json.loads(answer.read())
    return answer.status, content, 1000 * (time.perf_counter() - start)


def _quantiles(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    if not ordered:
        return {}
    return {f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 2) for share in (50, 99)}
