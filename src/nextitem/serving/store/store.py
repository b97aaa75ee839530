"""The store of a service: events, who is forgotten, and what changed in the catalogue; on disk before it is said."""

import asyncio
import hashlib
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import polars as pl

from nextitem.errors import ConfigurationError
from nextitem.serving.ids import RawId
from nextitem.serving.store import database
from nextitem.serving.store.catalogue import CHANGES_READ, Change, StoredCatalogue
from nextitem.serving.store.database import Transactions, insert, row
from nextitem.serving.store.events import (
    IdTypes,
    KeyReusedError,
    Receipt,
    Rules,
    StoredEvent,
    proofs,
    standing,
)
from nextitem.serving.store.frames import as_frame
from nextitem.serving.store.seam import Export
from nextitem.serving.store.untold import IN_DOUBT
from nextitem.serving.store.writer import MOST_WAITING, Writer
from nextitem.settings.given import path_of
from nextitem.storage import alone_at, refusals, whole_file
from nextitem.storage.places import what_is_at

_OF_USER = "SELECT user, item, time, kind FROM events WHERE user = ? AND number > ? ORDER BY time, number"
_ALL = "SELECT user, item, time, kind, number FROM events WHERE number > ? ORDER BY user, time, number"
_REQUEST = "SELECT content, accepted FROM requests WHERE key = ?"
_LEFT = 3  # bytes of a proof that outlive a user: they tell requests apart, and fit one in 16 million
_SECONDS = 60.0  # that whoever does not wait in an event loop waits for the disk


class EventStore:
    """Events and catalogue changes in an SQLite database that one process writes: a `Store`.

    All that changes anything returns when it is on disk, and raises StorageError, having changed nothing, where the
    disk refuses. Reading sees all that was acknowledged.
    """

    def __init__(
        self,
        path: Path,
        rules: Rules,
        transactions: Transactions,
        read: sqlite3.Connection,
        held: ExitStack,
        most_waiting: int,
    ) -> None:
        self.path, self.rules = path, rules
        self._transactions, self._read, self._held = transactions, read, held
        self._writer = Writer(transactions, most_waiting)
        held.callback(self._writer.close)
        self._reading = threading.Lock()
        self._count: int = self._one("SELECT count(*) FROM events")
        self._forgotten = {user for (user,) in self._rows("SELECT user FROM forgotten")}
        self.name: str = self._one("SELECT value FROM facts WHERE name = 'store'")
        """Of this database and its copies alone: 16 hexadecimal digits."""
        self.catalogue = StoredCatalogue(rules, self._keep, self._drop, lambda: self._rows(CHANGES_READ))

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        kinds: Mapping[str, float | str] | None = None,
        ids: IdTypes | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> Self:
        """The store in a file, which is made where there is none; no other process may open it until `close`.

        `kinds` are what the run's kinds of events mean, `ids` what its ids are. Raises ConfigurationError where another
        process has it open or its ids are others, ArtefactError where it is damaged or something else, StorageError.
        """
        path = path_of(path, "path")
        with ExitStack() as held:
            held.enter_context(alone_at(path, "serves from", "end it, or choose another --events"))
            if what_is_at(path) is None:
                database.create(path)
            database.require_ours(path)
            with database.refused(path):
                writing = database.connect(path, writes=True)
                held.callback(writing.close)
                database.require_whole(writing, path)
                _require_ids(writing, path, ids)
                read = held.enter_context(closing(database.connect(path)))
            transactions = Transactions(writing, path)
            return cls(path, Rules(kinds or {}, ids), transactions, read, held.pop_all(), most_waiting)

    def close(self) -> None:
        """Store what waits, and let go of the file."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, events: Sequence[StoredEvent], key: str | None = None) -> Receipt:
        """Store events, all or none of them; they are on disk.

        A `key` that came before with the same events stores nothing again. Raises KeyReusedError where it came with
        others, DataError for an event that cannot be stored, QueueFullError where too many requests wait.
        """
        return self._submitted(events, key).result(_SECONDS)

    async def add_async(self, events: Sequence[StoredEvent], key: str | None = None) -> Receipt:
        """As `add`; whoever is cancelled before it is written stores nothing."""
        return await asyncio.wrap_future(self._submitted(events, key))

    def of_user(self, user: RawId, after: int = 0, *, with_retractions: bool = False) -> list[StoredEvent]:
        """The events of a user in order of time, then of arrival; those that arrived `after` a number alone.

        Where the run's events have no kinds, those that were taken back are left out, unless `with_retractions`.
        Otherwise, and then, all are there, with what takes others back: that may be about events that the run has.
        """
        found = self._of_user(user, after)
        if with_retractions or self.rules.kinds or not any(event.kind for event in found):
            return found
        return [found[place] for place in standing(found, self.rules)]

    def _of_user(self, user: RawId, after: int) -> list[StoredEvent]:
        return [*map(StoredEvent._make, self._rows(_OF_USER, (user, after)))]

    def export(self, user: RawId) -> Export:
        """All that is stored of a user."""
        return Export(tuple(self._of_user(user, 0)), self.is_forgotten(user))

    def is_forgotten(self, user: RawId) -> bool:
        """Whether the user was deleted: nothing that a run has of theirs may be used, whatever came later is new."""
        return user in self._forgotten

    def forgotten(self) -> list[RawId]:
        """Who was deleted."""
        return [*self._forgotten]

    def forget(self, user: RawId) -> int:
        """Delete a user for good, also where a run has them; how many events these were.

        Nothing of them is left in the file but three bytes of a hash under each key that came with their events: by
        them a request that comes again is known, and is not stored again.
        """
        self.rules.check_id("user", user, "user")

        def work(connection: sqlite3.Connection) -> int:
            keys = connection.execute("SELECT DISTINCT request FROM events WHERE user = ? AND request NOTNULL", (user,))
            insert(
                connection,
                "requests",
                [
                    row(key, content[:_LEFT], accepted)
                    for (key,) in keys.fetchall()
                    for content, accepted in connection.execute(_REQUEST, (key,))
                ],
                replace=True,
            )
            deleted = connection.execute("DELETE FROM events WHERE user = ?", (user,)).rowcount
            insert(connection, "forgotten", [row(user, int(time.time()))], replace=True)
            return deleted

        def kept(deleted: int) -> None:
            self._count -= deleted
            self._forgotten.add(user)
            self._transactions.empty_log()

        return int(self._wait(work, kept))

    def frame(self, after: int = 0) -> pl.DataFrame:
        """All events in order of arrival, or those that arrived `after` a number, as a log to learn from.

        Columns `user`, `item`, `time` (unix seconds) and, where the run's events have kinds, `kind`; where they have
        none, without those that were taken back.
        """
        rows = self._rows(_ALL, (after,))
        return as_frame(rows, self.rules)

    def count_on_from(self, number: int) -> None:
        """Give no later event a number up to this one: a run may have learnt events that this copy has not."""
        if self.latest() < number:
            self._wait(lambda connection: insert(connection, "facts", [row("latest", number)], replace=True))

    def in_doubt(self, number: int, since: float) -> int:
        """How many events up to a number happened after a moment, in unix seconds: see `untold.IN_DOUBT`."""
        return int(self._rows(IN_DOUBT, (number, since))[0][0])

    def latest(self) -> int:
        """The number of the event that arrived last: they count from 1, and none is used again."""
        return int(self._one("SELECT value FROM facts WHERE name = 'latest'"))

    def count(self) -> int:
        """How many events are stored."""
        return self._count

    @property
    def waiting(self) -> int:
        """How many requests wait to be written."""
        return self._writer.waiting

    def backup(self, path: Path | str) -> None:
        """A copy of the database as it is now, proven whole. Raises ArtefactError and StorageError."""
        target = path_of(path, "path")
        with refusals(target, "free space or choose another file"), whole_file(target) as draft:
            database.copy(self.path, draft)

    def _submitted(self, events: Sequence[StoredEvent], key: str | None) -> "Future[Receipt]":
        self.rules.check(events)
        name = None if key is None else hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = (b"", b"") if key is None else proofs(events, key)

        def work(connection: sqlite3.Connection) -> Receipt:
            before = _before(connection, name)
            if before is not None:
                content, accepted = before
                if not self._is_same(content, found, events):
                    raise KeyReusedError(
                        f"the idempotency key {key!r} came before with other events; give each request a key of its own"
                    )
                return Receipt(accepted, is_repeat=True)
            _insert_events(connection, events, name, self.rules)
            if name is not None:
                insert(connection, "requests", [row(name, found[0], len(events))])
            return Receipt(len(events))

        def kept(receipt: Receipt) -> None:
            self._count += 0 if receipt.is_repeat else receipt.accepted

        return self._writer.submit(work, kept)

    def _is_same(self, content: bytes, found: Sequence[bytes], events: Sequence[StoredEvent]) -> bool:
        """Whether what is left of an earlier request of the same key is that of these events."""
        if not content:  # of a deleted user, in a database from before something was left of them
            return any(event.user in self._forgotten for event in events)
        return any(proof.startswith(content) for proof in found)

    def _keep(self, changes: Sequence[Change]) -> None:
        rows = [row(*change) for change in changes]
        self._wait(lambda connection: insert(connection, "changes", rows, replace=True))

    def _drop(self, items: Sequence[RawId]) -> None:
        chosen = [(item,) for item in items]
        self._wait(lambda connection: connection.executemany("DELETE FROM changes WHERE item = ?", chosen))

    def _wait(self, work: Any, kept: Any = lambda _: None) -> Any:
        return self._writer.submit(work, kept).result(_SECONDS)

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reading, database.refused(self.path):
            return self._read.execute(statement, values).fetchall()

    def _one(self, statement: str) -> Any:
        return self._rows(statement)[0][0]


def _before(connection: sqlite3.Connection, key: bytes | None) -> tuple[bytes, int] | None:
    """Fingerprint and number of events of an earlier request of this key."""
    found = connection.execute(_REQUEST, (key,)).fetchone()
    return None if key is None or found is None else (found[0], found[1])


def _insert_events(
    connection: sqlite3.Connection, events: Sequence[StoredEvent], key: bytes | None, rules: Rules
) -> None:
    if rules.ids is None:
        some = connection.execute("SELECT user, item FROM events LIMIT 1").fetchone() or events[0][:2] if events else ()
        Rules(rules.kinds, IdTypes(*map(type, some)) if some else None).check(events)
    latest = connection.execute("SELECT value FROM facts WHERE name = 'latest'").fetchone()[0]
    now = int(time.time())
    rows = [
        row(user, now if at is None else at, number, item, kind, key)
        for number, (user, item, at, kind) in enumerate(events, latest + 1)
    ]
    insert(connection, "events", rows)
    insert(connection, "facts", [row("latest", latest + len(rows))], replace=True)


def _require_ids(connection: sqlite3.Connection, path: Path, ids: IdTypes | None) -> None:
    some = connection.execute("SELECT user, item FROM events LIMIT 1").fetchone()
    if some is None or ids is None:
        return
    for role, raw, wanted in zip(("user", "item"), some, (ids.user, ids.item), strict=True):
        if not isinstance(raw, wanted):
            raise ConfigurationError(
                f"{path} holds events of the {role} {raw!r}, and ids of {role}s in this run are of another type; it "
                f"belongs to another run: choose another --events"
            )
