"""The store of a service in PostgreSQL, which any number of services write and read at a time.

Tables are those of `database`, in a schema `nextitem` of their own. Ids are written as JSON, so that the text "7" and
the number 7 are two. Commits are one after another, by a lock on one row: numbers of events are given in the order of
commits, and a request that comes to two services at a time is stored once.
"""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any, Self, cast

import polars as pl
import psycopg

from nextitem.errors import ConfigurationError
from nextitem.serving.ids import RawId
from nextitem.serving.store.catalogue import Change, StoredCatalogue, as_changes
from nextitem.serving.store.events import IdTypes, KeyReusedError, Receipt, Rules, StoredEvent, proofs, standing
from nextitem.serving.store.frames import as_frame
from nextitem.serving.store.seam import Export
from nextitem.serving.store.server import Connected, Connection, Transactions, address_of, make_tables
from nextitem.serving.store.untold import Untold, as_told, held_of
from nextitem.serving.store.writer import MOST_WAITING, Writer

_LEFT = 3  # bytes of a proof that outlive a user, as in SQLite
_SECONDS = 60.0
_EVENTS = "SELECT user_id, item, time, kind FROM nextitem.events"
_OF_USER = f"{_EVENTS} WHERE user_id = %s AND number > %s ORDER BY time, number"
_ALL = "SELECT user_id, item, time, kind, number FROM nextitem.events WHERE number > %s ORDER BY user_id, time, number"
_SINCE = f"{_EVENTS} WHERE number > %s OR user_id IN (SELECT user_id FROM nextitem.forgotten) ORDER BY number"
_IN_DOUBT = "SELECT count(*) FROM nextitem.events WHERE number <= %s AND time > %s"
_FORGOTTEN = "SELECT user_id FROM nextitem.forgotten ORDER BY user_id"
_CHANGES = "SELECT item, what, value FROM nextitem.changes ORDER BY item, what"


class PostgresStore:
    """Events and catalogue changes in a database of a PostgreSQL server: a `Store` that services share."""

    def __init__(self, transactions: "Transactions", rules: Rules, most_waiting: int) -> None:
        self.rules, self._transactions = rules, transactions
        self._reads, self._reading = Connected(transactions.address), threading.Lock()
        self.name: str = self._rows("SELECT value FROM nextitem.facts WHERE name = 'store'")[0][0]
        """Of this database and its copies alone: 16 hexadecimal digits."""
        self.catalogue = StoredCatalogue(rules, self._keep, self._drop, self._changes)
        self._writer = Writer(transactions, most_waiting)

    @classmethod
    def open(
        cls,
        address: str,
        *,
        kinds: Mapping[str, float | str] | None = None,
        ids: IdTypes | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> Self:
        """The store at an address such as `postgresql://user@host/database`; its tables are made where there are none.

        `kinds` are what the run's kinds of events mean, `ids` what its ids are. Raises ConfigurationError for what is
        no address and where ids are others, ArtefactError for tables of another version, and StorageError.
        """
        transactions = Transactions(address_of(address))
        with ExitStack() as held:
            held.callback(transactions.close)
            with transactions.refused("open"):
                make_tables(transactions)
                with transactions.together() as connection:
                    _require_ids(connection, str(transactions), ids)
            store = cls(transactions, Rules(kinds or {}, ids), most_waiting)
            held.pop_all()
        return store

    def close(self) -> None:
        """Store what waits, and let go of the server."""
        self._writer.close()
        self._transactions.close()
        self._reads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, events: Sequence[StoredEvent], key: str | None = None) -> Receipt:
        """As `Store.add`."""
        return self._submitted(events, key).result(_SECONDS)

    async def add_async(self, events: Sequence[StoredEvent], key: str | None = None) -> Receipt:
        """As `Store.add_async`."""
        return await asyncio.wrap_future(self._submitted(events, key))

    def of_user(self, user: RawId, after: int = 0, *, with_retractions: bool = False) -> list[StoredEvent]:
        """As `Store.of_user`."""
        found = self._of_user(user, after)
        if with_retractions or self.rules.kinds or not any(event.kind for event in found):
            return found
        return [found[place] for place in standing(found, self.rules)]

    def _of_user(self, user: RawId, after: int) -> list[StoredEvent]:
        return [StoredEvent(*_told(row)) for row in self._rows(_OF_USER, (_id(user), after))]

    def export(self, user: RawId) -> Export:
        """All that is stored of a user."""
        return Export(tuple(self._of_user(user, 0)), self.is_forgotten(user))

    def is_forgotten(self, user: RawId) -> bool:
        """As `Store.is_forgotten`."""
        return bool(self._rows("SELECT 1 FROM nextitem.forgotten WHERE user_id = %s", (_id(user),)))

    def forgotten(self) -> list[RawId]:
        """Who was deleted."""
        return [json.loads(user) for (user,) in self._rows(_FORGOTTEN)]

    def forget(self, user: RawId) -> int:
        """As `Store.forget`. What the server's files hold of deleted rows goes when it cleans up (`VACUUM`)."""
        self.rules.check_id("user", user, "user")

        def work(connection: Connection) -> int:
            connection.execute(
                "UPDATE nextitem.requests SET content = substring(content for %s) WHERE key IN "
                "(SELECT request FROM nextitem.events WHERE user_id = %s)",
                (_LEFT, _id(user)),
            )
            deleted = connection.execute("DELETE FROM nextitem.events WHERE user_id = %s", (_id(user),)).rowcount
            connection.execute(
                "INSERT INTO nextitem.forgotten VALUES (%s, %s) ON CONFLICT (user_id) DO UPDATE SET at = excluded.at",
                (_id(user), int(time.time())),
            )
            return deleted

        return int(self._wait(work))

    def frame(self, after: int = 0) -> pl.DataFrame:
        """As `Store.frame`."""
        rows = [(*_told(row[:4]), row[4]) for row in self._rows(_ALL, (after,))]
        return as_frame(rows, self.rules)

    def count_on_from(self, number: int) -> None:
        """As `Store.count_on_from`."""
        if self.latest() < number:
            self._wait(lambda connection: _put_latest(connection, max(number, _latest(connection))))

    def in_doubt(self, number: int, since: float) -> int:
        """As `Store.in_doubt`."""
        return int(self._rows(_IN_DOUBT, (number, since))[0][0])

    def latest(self) -> int:
        """As `Store.latest`."""
        return int(self._rows("SELECT value FROM nextitem.facts WHERE name = 'latest'")[0][0])

    def count(self) -> int:
        """How many events are stored, by all services together."""
        return int(self._rows("SELECT count(*) FROM nextitem.events")[0][0])

    @property
    def waiting(self) -> int:
        """How many requests of this process wait to be written."""
        return self._writer.waiting

    def untold(self, holds: Mapping[str, int], rules: Rules, made: float) -> Untold:
        """As `untold.untold` has it of a file: what a run does not hold of this database, at one moment."""
        with self._reading, self._transactions.refused("read"), self._reads.now().transaction():
            connection, place = self._reads.now(), str(self._transactions)
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            latest = _latest(connection)
            after = held_of(place, holds, self.name, latest)
            rows = connection.execute(_SINCE, (after,)).fetchall()
            in_doubt = connection.execute(_IN_DOUBT, (after, made)).fetchone()
            forgotten = connection.execute(_FORGOTTEN).fetchall()
            changes = as_changes((json.loads(item), *rest) for item, *rest in connection.execute(_CHANGES).fetchall())
        events = as_told([_told(row) for row in rows], rules, place)
        gone, is_first = tuple(json.loads(user) for (user,) in forgotten), self.name not in holds
        return Untold(self.name, latest, events, gone, changes, is_first, int(in_doubt[0]) if in_doubt else 0)

    def _submitted(self, events: Sequence[StoredEvent], key: str | None) -> "Future[Receipt]":
        self.rules.check(events)
        name = None if key is None else hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        proof = b"" if key is None else proofs(events, key)[0]

        def work(connection: Connection) -> Receipt:
            asked = "SELECT content, accepted FROM nextitem.requests WHERE key = %s"
            before = None if name is None else connection.execute(asked, (name,)).fetchone()
            if before is not None:
                if not proof.startswith(before[0]):
                    raise KeyReusedError(
                        f"the idempotency key {key!r} came before with other events; give each request a key of its own"
                    )
                return Receipt(before[1], is_repeat=True)
            _insert(connection, events, name, self.rules)
            if name is not None:
                connection.execute("INSERT INTO nextitem.requests VALUES (%s, %s, %s)", (name, proof, len(events)))
            return Receipt(len(events))

        return self._writer.submit(work)

    def _keep(self, changes: Sequence[Change]) -> None:
        statement = (
            "INSERT INTO nextitem.changes VALUES (%s, %s, %s, %s) ON CONFLICT (item, what) "
            "DO UPDATE SET value = excluded.value, at = excluded.at"
        )
        rows = [(_id(item), what, value, at) for item, what, value, at in changes]
        self._wait(lambda connection: connection.cursor().executemany(statement, rows))

    def _drop(self, items: Sequence[RawId]) -> None:
        chosen = [_id(item) for item in items]
        self._wait(
            lambda connection: connection.execute("DELETE FROM nextitem.changes WHERE item = ANY(%s)", (chosen,))
        )

    def _changes(self) -> list[tuple[Any, ...]]:
        rows = self._rows("SELECT item, what, value FROM nextitem.changes")
        return sorted(
            ((json.loads(item), what, value) for item, what, value in rows), key=lambda one: (str(one[0]), one[1])
        )

    def _wait(self, work: Any) -> Any:
        return self._writer.submit(work).result(_SECONDS)

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._reading, self._transactions.refused("read"):
            try:
                return self._reads.now().execute(cast(Any, statement), values).fetchall()
            except psycopg.OperationalError:  # of a server that went away and may be back: reading again harms nobody
                return self._reads.now().execute(cast(Any, statement), values).fetchall()


def _id(raw: RawId) -> str:
    return json.dumps(raw, ensure_ascii=False)


def _told(row: Sequence[Any]) -> tuple[RawId, RawId, float, str | None]:
    """Values of an event as they were given; whole seconds are whole."""
    user, item, at, kind = row
    return json.loads(user), json.loads(item), int(at) if at.is_integer() else at, kind


def _latest(connection: Connection) -> int:
    found = connection.execute("SELECT value FROM nextitem.facts WHERE name = 'latest'").fetchone()
    return int(found[0]) if found else 0


def _put_latest(connection: Connection, number: int) -> None:
    connection.execute("UPDATE nextitem.facts SET value = %s WHERE name = 'latest'", (str(number),))


def _insert(connection: Connection, events: Sequence[StoredEvent], key: bytes | None, rules: Rules) -> None:
    if rules.ids is None and events:
        some = connection.execute("SELECT user_id, item FROM nextitem.events LIMIT 1").fetchone()
        ids = events[0][:2] if some is None else [json.loads(one) for one in some]
        Rules(rules.kinds, IdTypes(*map(type, ids))).check(events)
    latest, now = _latest(connection), int(time.time())
    rows = [
        (_id(user), now if at is None else at, number, _id(item), kind, key)
        for number, (user, item, at, kind) in enumerate(events, latest + 1)
    ]
    connection.cursor().executemany("INSERT INTO nextitem.events VALUES (%s, %s, %s, %s, %s, %s)", rows)
    _put_latest(connection, latest + len(rows))


def _require_ids(connection: Connection, place: str, ids: IdTypes | None) -> None:
    some = connection.execute("SELECT user_id, item FROM nextitem.events LIMIT 1").fetchone()
    if some is None or ids is None:
        return
    for role, raw, wanted in zip(("user", "item"), map(json.loads, some), (ids.user, ids.item), strict=True):
        if not isinstance(raw, wanted):
            raise ConfigurationError(
                f"{place} holds events of the {role} {raw!r}, and ids of {role}s in this run are of another type; it "
                f"belongs to another run: choose another --events"
            )
