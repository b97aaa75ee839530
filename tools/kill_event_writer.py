"""Kill the process that writes events, again and again, and look at what is on disk.

    python tools/kill_event_writer.py                        200 kills, minutes
    python tools/kill_event_writer.py --kills 10 --seed 1
    python tools/kill_event_writer.py --postgres             of a PostgreSQL server, which it starts and kills as well

A process stores events, eight requests at a time, each with a key of its own, and says of each when it is acknowledged.
It is killed (SIGKILL) at a moment that is drawn. Then the database is opened again: right is when it is whole, every
acknowledged event is there once, and whatever was sent again with its key is not there twice. The next process goes on
with the same database. Of a server, every second kill is of all its processes, and it recovers before it is looked at.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from nextitem.errors import StorageError
from nextitem.serving.store.events import StoredEvent
from nextitem.serving.store.opening import open_store
from nextitem.serving.store.seam import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from worlds.postgres import Server, running

AT_ONCE, USERS = 8, 5


def event(number: int) -> StoredEvent:
    return StoredEvent(f"u{number % USERS}", number, number)


def write(place: str, begin: int, line: Connection) -> None:
    """Store events from a number on, without an end, and say which were acknowledged."""

    async def one(store: Store, worker: int) -> None:
        number = begin + worker
        while True:
            await store.add_async([event(number)], f"key {number}")
            line.send(number)
            number += AT_ONCE

    async def all_of_them() -> None:
        with open_store(place) as store:
            await asyncio.gather(*(one(store, worker) for worker in range(AT_ONCE)))

    with suppress(StorageError):  # the server is gone
        asyncio.run(all_of_them())


def killed(place: str, begin: int, seconds: float, server: Server | None) -> list[int]:
    """What a process acknowledged until it was killed, or its server, that long after its first word."""
    context = get_context("fork")  # all is imported already
    line, other = context.Pipe(duplex=False)
    process = context.Process(target=write, args=(place, begin, other))
    process.start()
    other.close()
    told = [line.recv()]
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if line.poll(left):
            told.append(line.recv())
    if server is None:
        os.kill(process.pid or 0, signal.SIGKILL)
    else:
        server.kill()
    try:
        while True:
            told.append(line.recv())  # what it said before it died
    except (EOFError, OSError):
        process.join()
    return told


def main() -> None:
    """Exit with a message unless all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--postgres", action="store_true", help="on a server that is started for it")
    asked = parser.parse_args()
    if asked.postgres:
        with running() as server:
            look_after_kills(server.address, asked.kills, asked.seed, server)
        return
    with tempfile.TemporaryDirectory(prefix="nextitem-killed-") as folder:
        look_after_kills(str(Path(folder) / "events.db"), asked.kills, asked.seed)


def look_after_kills(place: str, kills: int, seed: int, server: Server | None = None) -> None:
    """Kill so many times, of a server every second time the server itself, and look at what is stored each time."""
    draws, acknowledged, unsaid, sent_again, begin = Random(seed), set[int](), 0, 0, 0
    for kill in range(1, kills + 1):
        dying = server if kill % 2 else None
        told = killed(place, begin, draws.uniform(0, 0.15), dying)
        if dying is not None:
            dying.start()
        acknowledged |= set(told)
        with open_store(place) as store:
            stored = Counter(one.item for number in range(USERS) for one in store.of_user(f"u{number}"))
            if lost := acknowledged - stored.keys():
                sys.exit(f"error: kill {kill} lost {len(lost)} acknowledged events, such as {min(lost)}")
            unsaid += len(stored.keys() - acknowledged)
            # Whoever was not answered sends again: all that could have been under way.
            for number in range(max(begin, max(told) - 3 * AT_ONCE), max(told) + 3 * AT_ONCE):
                receipt = store.add([event(number)], f"key {number}")
                if receipt.is_repeat != (number in stored):
                    sys.exit(f"error: event {number} was stored and not taken for a repeat, or the other way")
                sent_again += receipt.is_repeat
                acknowledged.add(number)
            stored = Counter(one.item for number in range(USERS) for one in store.of_user(f"u{number}"))
            if twice := [number for number, count in stored.items() if count > 1]:
                sys.exit(f"error: {len(twice)} events are there twice, such as {twice[0]}")
            if len(stored) != store.count() or stored.keys() != acknowledged:
                sys.exit(f"error: {store.count()} events are stored and {len(acknowledged)} acknowledged")
        begin = max(acknowledged) + 1
    print(
        f"{kills} kills, {len(acknowledged):,} events acknowledged: none lost, none twice; {unsaid:,} were "
        f"stored and not yet acknowledged, {sent_again:,} came again and were known"
    )


if __name__ == "__main__":
    main()
