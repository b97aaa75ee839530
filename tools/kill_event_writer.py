"""Kill the process that writes events, again and again, and look at what is on disk.

    python tools/kill_event_writer.py                        200 kills, minutes
    python tools/kill_event_writer.py --kills 10 --seed 1

A process stores events, eight requests at a time, each with a key of its own, and says of each when it is acknowledged.
It is killed (SIGKILL) at a moment that is drawn. Then the database is opened again: right is when it is whole, every
acknowledged event is there once, and whatever was sent again with its key is not there twice. The next process goes on
with the same database.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from nextitem.serving.store.events import StoredEvent
from nextitem.serving.store.store import EventStore

AT_ONCE, USERS = 8, 5


def event(number: int) -> StoredEvent:
    return StoredEvent(f"u{number % USERS}", number, number)


def write(file: Path, begin: int, line: Connection) -> None:
    """Store events from a number on, without an end, and say which were acknowledged."""

    async def one(store: EventStore, worker: int) -> None:
        number = begin + worker
        while True:
            await store.add_async([event(number)], f"key {number}")
            line.send(number)
            number += AT_ONCE

    async def all_of_them() -> None:
        with EventStore.open(file) as store:
            await asyncio.gather(*(one(store, worker) for worker in range(AT_ONCE)))

    asyncio.run(all_of_them())


def killed(file: Path, begin: int, seconds: float) -> list[int]:
    """What a process acknowledged until it was killed, that long after its first word."""
    context = get_context("fork")  # all is imported already
    line, other = context.Pipe(duplex=False)
    process = context.Process(target=write, args=(file, begin, other))
    process.start()
    other.close()
    told = [line.recv()]
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if line.poll(left):
            told.append(line.recv())
    os.kill(process.pid or 0, signal.SIGKILL)
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
    asked = parser.parse_args()
    draws, acknowledged, unsaid, sent_again = Random(asked.seed), set[int](), 0, 0
    with tempfile.TemporaryDirectory(prefix="nextitem-killed-") as folder:
        file, begin = Path(folder) / "events.db", 0
        for kill in range(1, asked.kills + 1):
            told = killed(file, begin, draws.uniform(0, 0.15))
            acknowledged |= set(told)
            with EventStore.open(file) as store:
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
        f"{asked.kills} kills, {len(acknowledged):,} events acknowledged: none lost, none twice; {unsaid:,} were "
        f"stored and not yet acknowledged, {sent_again:,} came again and were known"
    )


if __name__ == "__main__":
    main()
