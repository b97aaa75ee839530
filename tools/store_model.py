"""Compare the store of a service with a dict, operation by operation.

    python tools/store_model.py                              200,000 operations, many minutes
    python tools/store_model.py --operations 5000 --seed 1
    python tools/store_model.py --postgres                   the same of a PostgreSQL server, which it starts

Hypothesis draws requests with and without keys, repeated and reused ones, retractions, users who are deleted, changes
of the catalogue, restarts, and copies that take the place of the database; what breaks is shrunk to a few operations.
After each of them everything that was touched is read back, and after each restart everything.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from nextitem.serving.store.events import KeyReusedError, StoredEvent
from nextitem.serving.store.opening import open_store
from nextitem.serving.store.seam import Store
from nextitem.serving.store.store import EventStore

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from worlds.postgres import running

KINDS = {"buy": 1.0, "unbuy": "retracts buy", "view": "history", "undo": "retracts"}
STEPS = 100  # operations on one database
USERS, ITEMS, KEYS = st.sampled_from("abcd"), st.sampled_from("xyz"), st.sampled_from(["k1", "k2", "k3", None])
TIMES = st.integers(0, 5) | st.sampled_from([0.5, 2.5])
done = Counter[str]()


class StoreModel(RuleBasedStateMachine):
    """The store beside what it should hold."""

    server: str | None = None
    """Address of the server that has the store; None: it is a file."""

    def _open(self) -> Store:
        return open_store(self.server or str(self.file), kinds=self.kinds)

    @initialize(has_kinds=st.booleans())
    def begin(self, has_kinds: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nextitem-model-"))
        self.file, self.kinds = self.folder / "events.db", KINDS if has_kinds else {}
        if self.server is not None:
            empty(self.server)
        self.store = self._open()
        self.events: list[tuple[int, StoredEvent]] = []  # with the numbers of their arrival
        self.latest = 0
        self.keys: dict[str, list[StoredEvent]] = {}
        self.forgotten: set[str] = set()
        self.retired: set[str] = set()
        self.titles: dict[str, str] = {}

    def _event(self, draw: st.DataObject) -> StoredEvent:
        kinds = st.sampled_from([*KINDS]) if self.kinds else st.sampled_from([None, None, None, "retraction"])
        return StoredEvent(draw.draw(USERS), draw.draw(ITEMS), draw.draw(TIMES), draw.draw(kinds))

    @rule(draw=st.data(), count=st.integers(1, 3), key=KEYS)
    def add(self, draw: Any, count: int, key: str | None) -> None:
        done["add"] += 1
        self._send([self._event(draw) for _ in range(count)], key)

    @precondition(lambda self: bool(self.keys))
    @rule(draw=st.data())
    def repeat(self, draw: Any) -> None:
        done["repeat"] += 1
        key = draw.draw(st.sampled_from(sorted(self.keys)))
        self._send(self.keys[key], key)

    def _send(self, events: list[StoredEvent], key: str | None) -> None:
        before = None if key is None else self.keys.get(key)
        if before is None:
            receipt = self.store.add(events, key)
            same((receipt.accepted, receipt.is_repeat), (len(events), False))
            self.events += enumerate(events, self.latest + 1)
            self.latest += len(events)
            if key is not None:
                self.keys[key] = events
        elif before == events:  # whoever was deleted since
            receipt = self.store.add(events, key)
            same((receipt.accepted, receipt.is_repeat), (len(before), True))
        else:
            try:
                self.store.add(events, key)
            except KeyReusedError:
                pass
            else:
                raise AssertionError(f"{key} was taken with other events")
        for user in {event.user for event in events}:
            self._same(str(user))
        same((self.store.count(), self.store.latest()), (len(self.events), self.latest))

    @rule(user=USERS)
    def forget(self, user: str) -> None:
        done["forget"] += 1
        gone = [event for _, event in self.events if event.user == user]
        same(self.store.forget(user), len(gone))
        self.events = [(number, event) for number, event in self.events if event.user != user]
        self.forgotten.add(user)
        self._same(user)

    @rule(item=ITEMS, what=st.sampled_from(["retire", "bring back", "rename", "remove"]))
    def change(self, item: str, what: str) -> None:
        done["change"] += 1
        catalogue = self.store.catalogue
        if what == "retire":
            catalogue.retire([item])
            self.retired.add(item)
        elif what == "bring back":
            catalogue.bring_back([item])
            self.retired.discard(item)
        elif what == "rename":
            catalogue.rename({item: f"{item}{self.latest}"})
            self.titles[item] = f"{item}{self.latest}"
        else:
            catalogue.remove([item])
            self.retired.discard(item)
            self.titles.pop(item, None)
        self._same_catalogue()

    @rule(how=st.sampled_from(["read"] * 14 + ["restart", "reload"]))
    def look(self, how: str) -> None:
        done[how] += 1
        {"read": self._all_the_same, "restart": self._restart, "reload": self._reload}[how]()

    def _restart(self) -> None:
        self.store.close()
        self.store = self._open()
        self._all_the_same()

    def _reload(self) -> None:
        if isinstance(self.store, EventStore):  # a server's copies are not ours to make
            copy = self.folder / "copy.db"
            self.store.backup(copy)
            self.store.close()
            copy.replace(self.file)
            self.store = self._open()
        self._all_the_same()

    def _same(self, user: str) -> None:
        own = sorted(((n, e) for n, e in self.events if e.user == user), key=lambda one: (one[1].time, one[0]))
        events = [event for _, event in own]
        same(list(self.store.export(user).events), events)
        same(self.store.of_user(user), (events if self.kinds else bracketed(events)))
        same(self.store.is_forgotten(user), (user in self.forgotten))

    def _same_catalogue(self) -> None:
        found = self.store.catalogue.changes()
        same((set(found.retired), dict(found.titles)), (self.retired, self.titles))

    def _all_the_same(self) -> None:
        for user in "abcd":
            self._same(user)
        self._same_catalogue()
        frame = self.store.frame()
        if self.kinds:
            same(frame.rows(), [tuple(event) for _, event in self.events])
        else:
            same(frame.height, sum(len(self.store.of_user(user)) for user in "abcd"))
        same((self.store.count(), self.store.latest()), (len(self.events), self.latest))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self._restart()
            self.store.close()
            shutil.rmtree(self.folder)


def empty(server: str) -> None:
    """Take away what a store left on a server."""
    import psycopg

    with psycopg.connect(server) as connection:
        connection.execute("DROP SCHEMA IF EXISTS nextitem CASCADE")


def same(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"the store says {found!r}, and should say {expected!r}")


def bracketed(events: list[StoredEvent]) -> list[StoredEvent]:
    """What is left when every retraction takes the latest event of its item before it, said as slowly as it can be."""
    left: list[StoredEvent] = []
    for event in events:
        if event.kind != "retraction":
            left.append(event)
            continue
        for place in reversed(range(len(left))):
            if left[place].item == event.item:
                del left[place]
                break
    return left


def compare(operations: int, drawn: int, server: str | None = None) -> None:
    """Carry out about so many operations, of one seed after another from `drawn` on."""
    number = drawn
    while (left := operations - sum(done.values())) > 0:
        rules = settings(
            max_examples=min(left // STEPS + 1, 200), stateful_step_count=STEPS, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        # Hypothesis keeps all that it drew; a run of its own for every few databases keeps the memory small.
        model = type("StoreModel", (StoreModel,), {"server": server})
        run_state_machine_as_test(seed(number)(model), settings=rules)
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=200_000, help="how many, about (default 200,000)")
    parser.add_argument("--seed", type=int, default=None, help="of all draws (default: another one each time)")
    parser.add_argument("--postgres", action="store_true", help="on a server that is started for it")
    asked = parser.parse_args()
    drawn = int.from_bytes(os.urandom(4)) if asked.seed is None else asked.seed
    print(f"seed {drawn}", flush=True)
    began = time.monotonic()
    if asked.postgres:
        with running() as server:
            compare(asked.operations, drawn, server.address)
    else:
        compare(asked.operations, drawn)
    kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(done.items()))
    operations = sum(done.values())
    print(f"{operations:,} operations ({kinds}), 0 differences, {time.monotonic() - began:.0f} s, seed {drawn}")


if __name__ == "__main__":
    main()
