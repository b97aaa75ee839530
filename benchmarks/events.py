"""How fast events are stored and read: alone, from many who send at once, and in lists.

python benchmarks/events.py                       20,000 requests each, in a folder below the working one
python benchmarks/events.py --folder /mnt/ssd     on another disk: every commit is synced there
"""

import argparse
import asyncio
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nextitem.serving.store.events import StoredEvent
from nextitem.serving.store.store import EventStore

USERS, ITEMS = 1000, 5000


def event(number: int) -> StoredEvent:
    return StoredEvent(number * 7919 % USERS, number * 104729 % ITEMS, 1_700_000_000 + number)


async def at_once(store: EventStore, requests: int, clients: int) -> None:
    """So many clients, each of which sends its next event when the one before is acknowledged."""

    async def one(client: int) -> None:
        for number in range(client, requests, clients):
            await store.add_async([event(number)], f"{clients}-{number}")

    await asyncio.gather(*(one(client) for client in range(clients)))


def rate(events: int, work: Callable[[], object]) -> int:
    began = time.perf_counter()
    work()
    return round(events / (time.perf_counter() - began))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="of each measurement (default 20,000)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the database is made (default: here)")
    asked = parser.parse_args()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, EventStore.open(Path(folder) / "events.db") as store:
        few = asked.requests // 10
        found["one client, events a second"] = rate(few, lambda: [store.add([event(n)], f"{n}") for n in range(few)])
        for clients in (16, 256):
            began = time.perf_counter()
            asyncio.run(at_once(store, asked.requests, clients))
            found[f"{clients} clients at once, events a second"] = round(asked.requests / (time.perf_counter() - began))
        lists = [[event(n) for n in range(start, start + 100)] for start in range(0, asked.requests, 100)]
        found["one client, lists of 100, events a second"] = rate(
            asked.requests, lambda: [store.add(one) for one in lists]
        )
        reads, began = 2000, time.perf_counter()
        read = sum(len(store.of_user(n % USERS)) for n in range(reads))
        found["milliseconds to read a user"] = round(1000 * (time.perf_counter() - began) / reads, 4)
        found["events of a user"] = round(read / reads, 1)
        found["events"], found["megabytes"] = store.count(), round(store.path.stat().st_size / 1e6, 1)
    print(json.dumps({"python": platform.python_version(), "processor": platform.machine(), **found}, indent=1))


if __name__ == "__main__":
    main()
