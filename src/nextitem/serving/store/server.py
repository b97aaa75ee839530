"""A PostgreSQL server as the store goes by it: connections, transactions that wait for each other, and the tables."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from nextitem.errors import ArtefactError, ConfigurationError, StorageError

Connection = psycopg.Connection[tuple[Any, ...]]
_VERSION = "1"
_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS nextitem;
CREATE TABLE IF NOT EXISTS nextitem.facts (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS nextitem.events (
    user_id text COLLATE "C" NOT NULL, time float8 NOT NULL, number int8 NOT NULL, item text COLLATE "C" NOT NULL,
    kind text, request bytea, PRIMARY KEY (user_id, time, number));
CREATE TABLE IF NOT EXISTS nextitem.requests (key bytea PRIMARY KEY, content bytea NOT NULL, accepted int8 NOT NULL);
CREATE TABLE IF NOT EXISTS nextitem.forgotten (user_id text COLLATE "C" PRIMARY KEY, at int8 NOT NULL);
CREATE TABLE IF NOT EXISTS nextitem.changes (
    item text COLLATE "C" NOT NULL, what text NOT NULL, value text, at int8 NOT NULL, PRIMARY KEY (item, what));
"""
_MAKING = 0x6E786974  # of the lock under which tables are made: two services may begin at a time
_TO_CONNECT = 5  # seconds


class Connected:
    """A connection to a server, made again after it broke."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Connection | None = None

    def now(self) -> Connection:
        """The connection, in which each statement is committed by itself. Raises psycopg.Error."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._address, autocommit=True)
            self._connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # whatever the server's default
        return self._connection

    def close(self) -> None:
        """Let go of the server."""
        if self._connection is not None:
            self._connection.close()


class Transactions:
    """What a writer does is committed here, and lies on the server's disk then."""

    def __init__(self, address: str) -> None:
        self.address, self._writes = address, Connected(address)

    def __str__(self) -> str:
        """Where it is, without the password."""
        parts = conninfo_to_dict(self.address)
        return f"postgresql://{parts.get('host') or ''}/{parts.get('dbname') or ''}"

    def close(self) -> None:
        """Let go of the server."""
        self._writes.close()

    @contextmanager
    def together(self) -> Iterator[Connection]:
        """Commit at the end what is done with the connection, or nothing of it where the block raises.

        All services wait for each other here: whoever has the lock sees all that was committed before.
        """
        with ExitStack() as transaction:
            connection = self._writes.now()
            try:
                transaction.enter_context(connection.transaction())
            except psycopg.OperationalError:  # it broke since it was used last: nothing was sent by it yet
                connection = self._writes.now()
                transaction.enter_context(connection.transaction())
            connection.execute("SELECT value FROM nextitem.facts WHERE name = 'latest' FOR UPDATE")
            yield connection

    @contextmanager
    def apart(self, connection: Connection) -> Iterator[None]:
        """Undo what is done inside, and nothing else of the transaction, where the block raises."""
        with connection.transaction():
            yield

    def told(self, error: BaseException, doing: str = "write") -> BaseException:
        """What to say of an error: what the server refused, in our words."""
        if not isinstance(error, psycopg.Error):
            return error
        said = " ".join(str(error).split())
        return StorageError(
            f"cannot {doing} {self}: {said}; look to the server, and send again, by its key, what was not acknowledged"
        )

    @contextmanager
    def refused(self, doing: str) -> Iterator[None]:
        """What the server refuses inside the block is a StorageError."""
        try:
            yield
        except psycopg.Error as error:
            raise self.told(error, doing) from error

    @contextmanager
    def making(self) -> Iterator[Connection]:
        """A transaction that no other service makes tables in meanwhile."""
        connection = self._writes.now()
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
            yield connection


def address_of(address: str) -> str:
    """The address with what has to hold of each connection. Raises ConfigurationError for one that is none."""
    try:
        known = conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            f"--events is no address of a PostgreSQL database: {' '.join(str(error).split())}; such as "
            f"postgresql://user@host/database"
        ) from error
    # Whatever the server's default: what was acknowledged outlives a loss of power.
    options = f"{known.get('options') or ''} -c synchronous_commit=on".strip()
    return make_conninfo(address, **{"connect_timeout": _TO_CONNECT, **known, "options": options})


def make_tables(transactions: Transactions) -> None:
    """Make the tables where there are none. Raises ArtefactError for those of another version."""
    with transactions.making() as connection:
        connection.execute(cast(Any, _SCHEMA))
        known = {"version": _VERSION, "store": os.urandom(8).hex(), "latest": "0"}
        for name, value in known.items():
            connection.execute("INSERT INTO nextitem.facts VALUES (%s, %s) ON CONFLICT DO NOTHING", (name, value))
        found = connection.execute("SELECT value FROM nextitem.facts WHERE name = 'version'").fetchone()
    if found != (_VERSION,):
        raise ArtefactError(
            f"{transactions} has version {found and found[0]} of the tables, and this nextitem reads version "
            f"{_VERSION}; use the nextitem that made them, or another database"
        )
