"""The database: its tables, and the proof that a file is one of ours and whole before anything of it is used.

Every row ends in its own checksum, because SQLite keeps none of what is in its pages.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nextitem.errors import ArtefactError, NextitemError, StorageError
from nextitem.storage import cannot_read, opened, refusals, whole_file
from nextitem.storage.places import A_FILE, NO_NAME, what_is_at

APPLICATION, VERSION = 0x6E786974, 1
"""What the header of a database says: "nxit", and the version of the tables below."""
CHECKED_WHOLE = 1 << 28
"""Bytes up to which a database is read whole when it is opened, 256 MB; a larger one when it is dumped."""
MAGIC, _HEADER = b"SQLite format 3\0", 100
"""What every SQLite database begins with; and how long its header is."""
# Columns without a type keep what they are given: the text "7" and the number 7 are two ids.
_SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value, proof INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE events (user NOT NULL, time NOT NULL, number INTEGER NOT NULL, item NOT NULL, kind TEXT, "
    "request BLOB, proof INTEGER NOT NULL, PRIMARY KEY (user, time, number)) WITHOUT ROWID",
    "CREATE TABLE requests (key BLOB PRIMARY KEY, content BLOB NOT NULL, accepted INTEGER NOT NULL, "
    "proof INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE forgotten (user PRIMARY KEY NOT NULL, at INTEGER NOT NULL, proof INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE changes (item NOT NULL, what TEXT NOT NULL, value TEXT, at INTEGER NOT NULL, "
    "proof INTEGER NOT NULL, PRIMARY KEY (item, what)) WITHOUT ROWID",
)
TABLES = ("facts", "events", "requests", "forgotten", "changes")
_REMEDY = "restore it from a dump or a backup, or choose another --events"
_SYSTEM = (  # what SQLite says where the system refuses, and the content may well be whole
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_AUTH,
)  # fmt: skip


def row(*values: Any) -> tuple[Any, ...]:
    """The values of a row, and behind them what proves them."""
    return (*values, zlib.crc32(repr(values).encode()))


@contextmanager
def refused(path: Path, doing: str = "read") -> Iterator[None]:
    """What SQLite refuses inside the block is a StorageError, or an ArtefactError where the content is at fault."""
    try:
        yield
    except sqlite3.Error as error:
        raise told(error, path, doing) from error


def told(error: sqlite3.Error, path: Path, doing: str) -> ArtefactError | StorageError:
    """What to say where SQLite refused to `read` or `write`."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _SYSTEM:
        remedy = "free space" if code == sqlite3.SQLITE_FULL else "look to the disk and the permissions"
        return StorageError(f"cannot {doing} {path}: {error}; {remedy}, and send again what was not acknowledged")
    return ArtefactError(f"{path} is damaged: {error}; {_REMEDY}")


def create(path: Path) -> None:
    """An empty database, which appears whole. Raises StorageError."""
    with refusals(path, "free space or choose another --events"), whole_file(path) as draft, refused(path, "write"):
        _fill(draft)


def _fill(draft: Path) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as fresh:
        fresh.execute("PRAGMA journal_mode=MEMORY")
        fresh.execute("BEGIN")
        for statement in _SCHEMA:
            fresh.execute(statement)
        insert(fresh, "facts", [row("store", os.urandom(8).hex()), row("latest", 0)])
        fresh.execute(f"PRAGMA application_id={APPLICATION}")
        fresh.execute(f"PRAGMA user_version={VERSION}")
        fresh.execute("COMMIT")


def insert(
    connection: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]], *, replace: bool = False
) -> int:
    """Put rows, each with its proof, into a table; how many they were. Where one is there already it is replaced."""
    rows = [*rows]
    if rows:
        places = ", ".join("?" * len(rows[0]))
        verb = "REPLACE" if replace else "INSERT"
        connection.executemany(f"{verb} INTO {table} VALUES ({places})", rows)
    return len(rows)


def connect(path: Path, *, writes: bool = False, is_still: bool = False) -> sqlite3.Connection:
    """A connection to a database that is there; with `is_still` to one that nobody has open, which stays as it is.

    Raises sqlite3.Error.
    """
    mode = "ro" if is_still else "rw"  # one that may only read leaves its log behind
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}{'&immutable=1' if is_still else ''}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}")
        if writes:
            # FULL syncs the log at every commit: what was acknowledged outlives a loss of power.
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")
        else:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


class Transactions:
    """What a writer does is committed here; `connection` is that of a database that nobody else writes."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path

    def __str__(self) -> str:
        return str(self._path)

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """Commit at the end what is done with the connection, or nothing of it where the block raises."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def apart(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Undo what is done inside, and nothing else of the transaction, where an error of our own is raised."""
        connection.execute("SAVEPOINT job")
        try:
            yield
        except NextitemError:
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            raise
        connection.execute("RELEASE job")

    def told(self, error: BaseException) -> BaseException:
        """What to say of an error: what SQLite refused, in our words."""
        return told(error, self._path, "write") if isinstance(error, sqlite3.Error) else error

    def empty_log(self) -> None:
        """Put all of the log into the database, so that what was deleted is nowhere any more; outside transactions."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def require_ours(path: Path) -> None:
    """Raise ArtefactError for a file that is no database of a service, or of another version; nothing is executed."""
    try:
        with opened(path) as content:
            header, size = content.read(_HEADER), os.fstat(content.fileno()).st_size
    except OSError as error:
        if error.errno in NO_NAME:
            raise ArtefactError(f"there is no {path}; give the database that `nextitem serve --events` made") from error
        raise cannot_read(path, error) from error
    except ValueError as error:
        raise ArtefactError(f"{error}; give the database that `nextitem serve --events` made") from error
    if len(header) < _HEADER or not header.startswith(MAGIC):
        raise ArtefactError(f"{path} is no database (its first bytes are others, or it was cut); {_REMEDY}")
    if int.from_bytes(header[68:72]) != APPLICATION:
        raise ArtefactError(f"{path} is a database of another program; choose another --events")
    if (version := int.from_bytes(header[60:64])) != VERSION:
        raise ArtefactError(
            f"{path} has version {version} of its tables, and this nextitem reads version {VERSION}; use the nextitem "
            f"that wrote it, or choose another --events"
        )
    for beside in _beside(path):
        if what_is_at(beside) not in (None, A_FILE) or beside.is_symlink():
            raise ArtefactError(f"{beside} is {what_is_at(beside)}, and should be the log of {path.name}; {_REMEDY}")
    page, pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
    # With a log beside it the file may be behind what its header says.
    if what_is_at(_beside(path)[0]) is None and size != (65536 if page == 1 else page) * pages:
        raise ArtefactError(f"{path} has {size:,} bytes, and its header says {pages:,} pages of {page:,}; {_REMEDY}")


def _beside(path: Path) -> tuple[Path, Path]:
    """The log of a database that is in use, and the index of that."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def require_whole(connection: sqlite3.Connection, path: Path, *, whatever_its_size: bool = False) -> None:
    """Raise ArtefactError where tables are not ours, pages do not go together, or a row does not prove itself.

    Pages and rows are looked at up to `CHECKED_WHOLE` bytes, or `whatever_its_size`.
    """
    with refused(path):
        with closing(sqlite3.connect(":memory:")) as expected:
            for statement in _SCHEMA:
                expected.execute(statement)
            if _tables(connection) != _tables(expected):
                raise ArtefactError(f"{path} holds other tables than a service makes; {_REMEDY}")
        if not whatever_its_size and path.stat().st_size > CHECKED_WHOLE:
            return
        if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise ArtefactError(f"{path} is damaged: {found}; {_REMEDY}")
        for table in TABLES:
            for number, values in enumerate(connection.execute(f"SELECT * FROM {table}"), 1):
                if row(*values[:-1]) != values:
                    raise ArtefactError(
                        f"{path} is damaged: row {number:,} of {table} does not prove itself; {_REMEDY}"
                    )


def _tables(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return sorted(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))


def copy(source: Path, target: Path) -> None:
    """Put a database as it is at one moment, also while a service writes it, into an empty file; it is proven whole.

    Raises ArtefactError and StorageError.
    """
    require_ours(source)
    with refused(source), closing(connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)
    _prove(target, source)


def count(path: Path) -> int:
    """How many events a database holds that nobody has open, proven whole. Raises ArtefactError and StorageError."""
    require_ours(path)
    _prove(path, path)
    with refused(path), closing(connect(path, is_still=True)) as still:
        return int(still.execute("SELECT count(*) FROM events").fetchone()[0])


def _prove(path: Path, called: Path) -> None:
    with refused(called), closing(connect(path, is_still=True)) as still:
        require_whole(still, called, whatever_its_size=True)
