"""Bodies that are no questions, drawn at random, to an application in this process: each is refused, none breaks it.

python tools/malformed_bodies.py                      10,000 of them; the seed is printed
python tools/malformed_bodies.py --bodies 300 --seed 7

An answer is right where its status is 400, 408, 413, 415 or 422 and its body a JSON object with code, message and
remedy that are not empty. Exit code 1 where one is not.
"""

import argparse
import asyncio
import json
import random
import string
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.serving.fit import fit
from nextitem.serving.service.app import create_app
from nextitem.serving.service.logs import Log
from nextitem.serving.service.models import Models, ids_of, version_of
from nextitem.serving.service.service import Service
from nextitem.serving.service.settings import ServiceSettings
from nextitem.serving.store.store import EventStore

GOOD: dict[str, dict[str, Any]] = {
    "/v1/recommend": {"history": ["a", "b"], "k": 3, "unknown": "drop"},
    "/v1/recommend/batch": {"questions": [{"history": ["a"], "k": 3}, {"history": ["b"]}]},
    "/v1/similar": {"items": ["a"], "k": 3},
    "/v1/rerank": {"history": ["a"], "items": ["b", "c"]},
    "/v1/explain": {"history": ["a", "b"], "k": 2},
    "/v1/events": {"user": "u", "item": "a", "time": 1.0},
    "/v1/items": {"item": "new", "title": "New"},
}
"""Bodies that are right, by the route that takes them with POST."""
STATUSES = {400, 408, 413, 415, 422}


def deep(draws: random.Random, _: bytes) -> bytes:
    depth = draws.choice([1000, 20_000, 200_000])
    opening, closing = draws.choice([("[", "]"), ('{"a":', "}")])
    return (opening * depth + "1" + closing * draws.choice([0, depth])).encode()


def cut(draws: random.Random, good: bytes) -> bytes:
    return good[: draws.randrange(len(good))]


def lone_surrogate(draws: random.Random, _: bytes) -> bytes:
    return b'{"history":["' + draws.choice([b"\\ud800", b"\\udfff", b"\\ude00\\ud83d", b"\xed\xa0\x80"]) + b'"]}'


def no_number(draws: random.Random, _: bytes) -> bytes:
    word = draws.choice(["NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 5000, "0x1", "01", "1.", ".5", "+1"])
    name = draws.choice(["k", "user", "history", "time", "items"])
    return f'{{"{name}":{word}}}'.encode()


def twice(draws: random.Random, good: bytes) -> bytes:
    name = draws.choice([*json.loads(good)])
    return good[:-1] + f',"{name}":null}}'.encode()


def another_type(draws: random.Random, good: bytes) -> bytes:
    body = json.loads(good)
    name = draws.choice([*body])
    body[name] = draws.choice([None, True, 1.5, -1, {}, {"a": 1}, [[]], [None], [1.5], [True], "", [{}], 2**70])
    return json.dumps(body).encode()


def unknown_key(draws: random.Random, good: bytes) -> bytes:
    name = "".join(draws.choices(string.ascii_letters + "_\u0000é\U0001f600", k=draws.randrange(1, 30)))
    return json.dumps({**json.loads(good), f"{name}?": 1}).encode()


def another_value(draws: random.Random, _: bytes) -> bytes:
    return json.dumps(draws.choice([None, True, 0, 1.5, "text", [], [[]], [1, 2], {}, ""])).encode()


def noise(draws: random.Random, _: bytes) -> bytes:
    return draws.randbytes(draws.randrange(200))


def broken(draws: random.Random, good: bytes) -> bytes:
    """The body with some of its bytes as others."""
    found = bytearray(good)
    for _ in range(draws.randrange(1, 4)):
        found[draws.randrange(len(found))] = draws.randrange(256)
    return bytes(found)


def large(draws: random.Random, _: bytes) -> bytes:
    return b'{"history":["' + b"a" * (2**20 + draws.randrange(1000)) + b'"]}'


KINDS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    deep, cut, lone_surrogate, no_number, twice, another_type, unknown_key, another_value, noise, broken,
)  # fmt: skip
CONTENT_TYPES = [b"application/json"] * 30 + [b"text/plain", b"", b"application/json; charset=utf-8"]


@dataclass
class Found:
    """What became of the bodies."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


async def asked(app: Any, path: str, body: bytes, content_type: bytes) -> tuple[int, bytes]:
    """(status, body) of an answer."""
    sent = list[dict[str, Any]]()
    parts = [body[start : start + 65536] for start in range(0, max(1, len(body)), 65536)]

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()  # the client stays
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"host", b"x"), *([(b"content-type", content_type)] if content_type else [])]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:])


def is_refusal(status: int, answer: bytes) -> bool:
    """Whether this is how a body is refused."""
    if status not in STATUSES:
        return False
    told = json.loads(answer)
    return {*told} == {"code", "message", "remedy"} and all(isinstance(one, str) and one for one in told.values())


async def tried(app: Any, bodies: int, seed: int) -> Found:
    """What becomes of so many bodies; one that is right, by chance, may be answered."""
    draws, found = random.Random(seed), Found()
    for number in range(bodies):
        path = draws.choice([*GOOD])
        kind = large if number % 200 == 199 else draws.choice(KINDS)
        body = kind(draws, json.dumps(GOOD[path]).encode())
        status, answer = await asked(app, path, body, draws.choice(CONTENT_TYPES))
        found.statuses[f"{status}"] += 1
        may_be_right = kind in (another_type, broken, another_value, cut, deep, no_number) and status in (200, 201)
        if not is_refusal(status, answer) and not (may_be_right and is_right(body)):
            found.wrong.append(f"{path} {kind.__name__} {body[:200]!r}: {status} {answer[:300]!r}")
    return found


def is_right(body: bytes) -> bool:
    """Whether a body is JSON after all, so that it may be a question."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


async def on_a_service(bodies: int, seed: int, folder: Path) -> Found:
    """The same, on a service with a small model and a database."""
    rows = [(f"u{user}", item, float(time)) for user in range(20) for time, item in enumerate("abcde"[user % 3 :])]
    frame = {"user": [row[0] for row in rows], "item": [row[1] for row in rows], "time": [row[2] for row in rows]}
    recommender = fit(pl.DataFrame(frame), "popularity")
    models = Models([version_of(recommender, "popularity")])
    with EventStore.open(folder / "events.db", ids=ids_of(recommender)) as store, open(folder / "log", "w") as log:  # noqa: PTH123
        service = Service(models, ServiceSettings(port=0, deadline=60, wait=60), store)
        app = create_app(service, None, Log(log))
        service.start()
        found = await tried(app, bodies, seed)
        await service.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None)
    asked_for = parser.parse_args()
    seed = random.randrange(2**32) if asked_for.seed is None else asked_for.seed
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(on_a_service(asked_for.bodies, seed, Path(folder)))
    print(json.dumps({"seed": seed, "bodies": asked_for.bodies, "statuses": dict(sorted(found.statuses.items()))}))
    for line in found.wrong[:20]:
        print(line)
    if found.wrong:
        sys.exit(f"{len(found.wrong):,} of {asked_for.bodies:,} answers are not as they should be")


if __name__ == "__main__":
    main()
