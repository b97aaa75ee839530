"""Load on a service that is started here, from outside, over real sockets. Prints one JSON object.

python benchmarks/load.py rate RUN --rate 500 --seconds 60   latency at a rate
python benchmarks/load.py overload RUN                       capacity, five times that, and how soon it is over
python benchmarks/load.py mixed RUN --minutes 30             all kinds of requests; what the memory does
python benchmarks/load.py slow RUN                           200 connections that send a byte a second, beside others
python benchmarks/load.py reloads RUN                        100 reloads, 10 of them of a corrupt folder
python benchmarks/load.py stops RUN                          SIGTERM, 20 times: is all answered that was accepted?
python benchmarks/load.py replicas RUN                       two services, one PostgreSQL: what each sees of the other

Histories are those of users of the run, a sample by --seed. A latency counts from the time at which its request was
due, whether or not earlier ones were answered; see open_loop.py.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import polars as pl
from open_loop import OpenLoop, Outcome, arrivals, request
from replicas import replicas
from running import Running, machine, memory_slope, slow_connections

MIXED = {"recommend": 16, "user": 4, "batch": 1, "similar": 2, "rerank": 1, "explain": 1, "events": 3}
"""Kinds of requests, and how often each occurs among 28."""


def histories(run: Path, count: int = 3000, latest: int = 200, seed: int = 0) -> list[list[int | str]]:
    """Histories of the run's users in raw ids."""
    items = pl.read_parquet(run / "items.parquet", columns=["item"])["item"].to_list()
    users = pl.read_parquet(run / "users.parquet", columns=["history"])["history"]
    some = users.sample(min(count, len(users)), shuffle=True, seed=seed).to_list()
    return [[items[place] for place in one[-latest:]] for one in some]


def lists(asked: argparse.Namespace) -> list[bytes]:
    """Requests for ten items after each history."""
    return [
        request("/v1/recommend", json.dumps({"history": one, "k": 10}).encode())
        for one in histories(asked.run, seed=asked.seed)
    ]


def of_all_kinds(asked: argparse.Namespace) -> list[bytes]:
    """Requests of all kinds, in turn."""
    found = []
    kinds = [kind for kind, times in MIXED.items() for _ in range(times)]
    for number, history in enumerate(histories(asked.run, seed=asked.seed)):
        kind, user = kinds[number * 11 % len(kinds)], number + 1  # 11: a step that meets each kind, and mixes them
        path, body = {
            "recommend": ("/v1/recommend", {"history": history}),
            "user": ("/v1/recommend", {"user": user}),
            "batch": ("/v1/recommend/batch", {"questions": [{"history": history}] * 4}),
            "similar": ("/v1/similar", {"items": history[-1:]}),
            "rerank": ("/v1/rerank", {"history": history, "items": history[:5]}),
            "explain": ("/v1/explain", {"history": history[-20:], "k": 3}),
            "events": ("/v1/events", {"user": user, "item": history[-1], "time": time.time()}),
        }[kind]
        found.append(request(path, json.dumps(body).encode()))
    return found


def rate(asked: argparse.Namespace) -> dict[str, object]:
    requests = lists(asked)
    with Running([asked.run]) as server:
        load = OpenLoop(server.address)
        load.run(arrivals(min(100, asked.rate), 2), requests)  # so that nothing is measured for the first time
        cpu, own = server.cpu(), time.process_time()
        found = load.run(arrivals(asked.rate, asked.seconds, asked.seed), requests)
        return found.figures() | {
            "asked_per_second": asked.rate,
            "server_cpu_ms_a_request": round(1000 * (server.cpu() - cpu) / max(1, sum(found.statuses.values())), 3),
            "generator_cpu_share": round((time.process_time() - own) / found.seconds, 3),
            "rss_mb": round(server.memory(), 1),
        }


def overload(asked: argparse.Namespace) -> dict[str, object]:
    requests = lists(asked)
    with Running([asked.run]) as server:
        load = OpenLoop(server.address)
        load.run(arrivals(100, 3), requests)
        capacity = most_a_second(load, requests)
        before = server.memory()
        over = load.run(arrivals(5 * capacity, asked.seconds, asked.seed), requests)
        recovery = recovered(load, requests, capacity / 2)
        return {
            "capacity_per_second": round(capacity, 1),
            "asked_per_second": round(5 * capacity, 1),
            "overload": over.figures(),
            "memory_growth": round(server.memory() / before - 1, 4),
            "recovery_seconds": recovery,
        }


def most_a_second(load: OpenLoop, requests: Sequence[bytes]) -> float:
    """Answers of the model a second, at the best of rates that rise until a tenth of the requests gets none."""
    best, each_second = 0.0, 200.0
    while each_second < 10_000:
        found = load.run(arrivals(each_second, 2), requests)
        best = max(best, len(found.latencies) / found.seconds)
        if len(found.latencies) < 0.9 * sum(found.statuses.values()):
            break
        each_second *= 1.3
    return best


def recovered(load: OpenLoop, requests: Sequence[bytes], each_second: float) -> float | None:
    """Seconds at half of the capacity until all of a quarter of a second is answered within 25 ms; None: not in 10."""
    start = time.monotonic()
    while (begun := time.monotonic() - start) < 10:
        found = load.run(arrivals(each_second, 0.25), requests)
        answered = found.statuses[200] == sum(found.statuses.values()) > 0
        if answered and not found.fallbacks and found.percentile(0.99) <= 25:
            return round(begun, 2)
    return None


def mixed(asked: argparse.Namespace) -> dict[str, object]:
    requests, memory = of_all_kinds(asked), list[tuple[float, float]]()
    with tempfile.TemporaryDirectory() as folder, Running([asked.run], "--events", f"{folder}/events.db") as server:
        load = OpenLoop(server.address)
        load.run(arrivals(50, 3), requests)
        found = load.run(
            arrivals(asked.rate, 60 * asked.minutes, asked.seed),
            requests,
            each_second=lambda now: memory.append((now, server.memory())),
        )
        return found.figures() | {
            "minutes": asked.minutes,
            "asked_per_second": asked.rate,
            "rss_mb_first": round(memory[0][1], 1),
            "rss_mb_last": round(memory[-1][1], 1),
            "rss_mb_a_minute": memory_slope(memory),
        }


def slow(asked: argparse.Namespace) -> dict[str, object]:
    requests = lists(asked)
    with Running([asked.run]) as server:
        load = OpenLoop(server.address)
        load.run(arrivals(100, 2), requests)
        alone = load.run(arrivals(asked.rate, asked.seconds, asked.seed), requests)
        with slow_connections(server.address, asked.connections) as cut_off:
            beside = load.run(arrivals(asked.rate, asked.seconds, asked.seed), requests)
        return {
            "connections": asked.connections,
            "alone": alone.figures(),
            "beside": beside.figures(),
            "p99_ratio": round(beside.percentile(0.99) / alone.percentile(0.99), 2),
            "cut_off": cut_off[0],
        }


def reloads(asked: argparse.Namespace) -> dict[str, object]:
    requests, statuses, versions = lists(asked), Counter[str](), set[str]()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(shutil.copytree(asked.run, Path(folder) / "served"))
        weights = next(run.glob("model.*"))
        intact = weights.read_bytes()
        corrupt = intact[:-1] + bytes([intact[-1] ^ 1])
        with Running([run]) as server:
            load, is_over = OpenLoop(server.address), threading.Event()

            def again_and_again() -> None:
                asking = HTTPConnection(server.host, server.port, timeout=60)
                for number in range(asked.times):
                    is_corrupt = number % 10 == 9
                    weights.write_bytes(corrupt if is_corrupt else intact)
                    asking.request("POST", "/v1/models/served/reload")
                    answer = asking.getresponse()
                    told = json.loads(answer.read())
                    statuses[f"{'corrupt' if is_corrupt else 'intact'} {answer.status}"] += 1
                    versions.add(told.get("version", "refused"))
                weights.write_bytes(intact)
                is_over.set()

            thread = threading.Thread(target=again_and_again)
            start = time.perf_counter()
            thread.start()
            found = load.run(until(is_over, arrivals(asked.rate, 600, asked.seed)), requests)
            thread.join()
            return found.figures() | {
                "reloads": dict(sorted(statuses.items())),
                "versions": sorted(versions),
                "seconds_a_reload": round((time.perf_counter() - start) / asked.times, 3),
                "failed_requests": failed(found),
            }


def until(is_over: threading.Event, due: Iterator[float]) -> Iterator[float]:
    """What is due, until it is over."""
    for at in due:
        if is_over.is_set():
            return
        yield at


def failed(found: Outcome) -> int:
    """Requests that got another answer than a list, or none."""
    return sum(found.statuses.values()) - found.statuses[200] + found.lost + found.refused


def stops(asked: argparse.Namespace) -> dict[str, object]:
    requests = lists(asked)
    rounds = list[Stopped]()
    upcoming: Running | None = Running([asked.run])
    for number in range(asked.times):
        server = upcoming
        upcoming = Running([asked.run]) if number + 1 < asked.times else None  # starts while the other is loaded
        with server:
            rounds.append(stopped(server, requests, asked.rate, number))
    return {
        "stops": asked.times,
        "asked_per_second": asked.rate,
        "accepted": sum(one.accepted for one in rounds),
        "accepted_and_not_answered": sum(max(0, one.accepted - one.answered) for one in rounds),
        "sent_and_never_read": sum(one.cut for one in rounds),
        "statuses": dict(sum((one.statuses for one in rounds), Counter[int]())),
        "most_seconds_to_end": max(one.seconds for one in rounds),
        "exit_codes": sorted({one.code for one in rounds}),
    }


@dataclass
class Stopped:
    """What became of a service that was told to end under load."""

    accepted: int
    """Requests that its log has a line of."""
    answered: int
    """Answers that came."""
    cut: int
    """Requests that were sent and neither answered nor read, since the server closed the connection meanwhile."""
    statuses: Counter[int]
    seconds: float
    code: int


def stopped(server: Running, requests: Sequence[bytes], each_second: float, seed: int) -> Stopped:
    """Load for 3.5 seconds, and SIGTERM after the first of them."""
    load, told = OpenLoop(server.address), list[float]()

    def stop(_: float) -> None:
        if not told:
            told.append(time.monotonic())
            server.terminate()

    found = load.run(arrivals(each_second, 3.5, seed), requests, each_second=stop)
    code, ended = server.wait()
    lines = [line for line in server.log() if line["event"] == "request"]
    answered = sum(found.statuses.values())
    cut = found.lost - max(0, len(lines) - answered)
    return Stopped(len(lines), answered, cut, found.statuses, round(ended - told[0], 2), code)


MODES: dict[str, Callable[[argparse.Namespace], dict[str, object]]] = {
    "rate": rate, "overload": overload, "mixed": mixed, "slow": slow, "reloads": reloads, "stops": stops,
    "replicas": lambda asked: replicas(asked, lists(asked)),
}  # fmt: skip
RATES = {"rate": 500, "mixed": 100, "slow": 200, "reloads": 100, "stops": 200, "replicas": 50}
SECONDS = {"rate": 60, "overload": 20, "slow": 20, "replicas": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("run", type=Path, help="folder of the run that is served")
    parser.add_argument("--rate", type=float, help="requests a second (default: 500 of rate, 50 to 200 of others)")
    parser.add_argument("--seconds", type=float, help="of each measurement (default: 60 of rate, 20 of others)")
    parser.add_argument("--minutes", type=float, default=30, help="of mixed (default 30)")
    parser.add_argument("--times", type=int, help="reloads (default 100) or stops (default 20)")
    parser.add_argument("--connections", type=int, default=200, help="slow ones (default 200)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.rate = RATES.get(asked.mode, 0) if asked.rate is None else asked.rate
    asked.seconds = SECONDS.get(asked.mode, 0) if asked.seconds is None else asked.seconds
    asked.times = {"reloads": 100, "stops": 20}.get(asked.mode, 0) if asked.times is None else asked.times
    print(json.dumps({"mode": asked.mode, "run": asked.run.name, **MODES[asked.mode](asked), "machine": machine()}))


if __name__ == "__main__":
    main()
