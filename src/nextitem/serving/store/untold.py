"""What a database holds that a run has not learnt, read at one moment, also while a service writes."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nextitem.data.kinds import RETRACTION
from nextitem.errors import ArtefactError, DataError
from nextitem.serving.ids import RawId
from nextitem.serving.store import database
from nextitem.serving.store.catalogue import CHANGES_READ, StoredChanges, as_changes
from nextitem.serving.store.events import IdTypes, Rules

_SINCE = (
    "SELECT user, item, time, kind FROM events WHERE number > ? OR user IN (SELECT user FROM forgotten) ORDER BY number"
)
_NO_KIND = "event"
IN_DOUBT = "SELECT count(*) FROM events WHERE number <= ? AND time > ?"
"""How many events a run is taken to have learnt, by their numbers, that happened after it was made.

Where a database was put back to an earlier copy and told of events before a run came that had learnt the later one,
numbers were given twice, and such events are lost to that run. They may also just bear a time that lay ahead.
"""


@dataclass(frozen=True)
class Untold:
    """What a run is to learn from a database."""

    store: str
    """The database's name."""
    latest: int
    """The number of its latest event."""
    events: pl.DataFrame
    """`user`, `item`, `time` and, where kinds matter, `kind`, in order of arrival: those that the run does not hold,
    and of deleted users all, since none of theirs that the run holds counts any more."""
    forgotten: tuple[RawId, ...]
    """Who was deleted."""
    changes: StoredChanges
    """Of the catalogue."""
    is_first: bool = False
    """Whether the run has learnt nothing of this database before."""
    in_doubt: int = 0
    """Events that count as learnt and happened after the run was made."""


def is_database(file: Path) -> bool:
    """Whether a file begins as an SQLite database does; one that is not there, or cannot be read, does not."""
    try:
        with file.open("rb") as content:
            return content.read(len(database.MAGIC)) == database.MAGIC
    except OSError:
        return False


def untold(path: Path, holds: Mapping[str, int], rules: Rules, made: float) -> Untold:
    """What the database of a service holds beyond what a run `holds` of it, by its name; the service may go on writing.

    The run was `made` then, in unix seconds.
    Raises DataError for events that go not with the run's kinds and ids, ArtefactError for a database that is damaged,
    something else, or older than what the run has learnt of it, and StorageError.
    """
    database.require_ours(path)
    with database.refused(path), closing(database.connect(path)) as connection:
        connection.execute("BEGIN")  # all that follows is of one moment
        database.require_whole(connection, path)
        facts = dict(connection.execute("SELECT name, value FROM facts").fetchall())
        store, latest = facts["store"], int(facts["latest"])
        after = held_of(path, holds, store, latest)
        rows = connection.execute(_SINCE, (after,)).fetchall()
        ((in_doubt,),) = connection.execute(IN_DOUBT, (after, made)).fetchall()
        forgotten = tuple(user for (user,) in connection.execute("SELECT user FROM forgotten ORDER BY user"))
        changes = as_changes(connection.execute(CHANGES_READ).fetchall())
    return Untold(store, latest, as_told(rows, rules, path), forgotten, changes, store not in holds, in_doubt)


def held_of(path: Path | str, holds: Mapping[str, int], store: str, latest: int) -> int:
    """The number of the latest event of a database that a run has learnt. Raises ArtefactError where it has fewer."""
    after = holds.get(store, 0)
    if after > latest:
        raise ArtefactError(
            f"the run has learnt {path} up to event {after:,}, and that ends at {latest:,}: it is an earlier copy; "
            f"take the later one, or a run of before"
        )
    return after


def as_told(rows: list[tuple[Any, ...]], rules: Rules, path: Path | str) -> pl.DataFrame:
    """Rows of `user`, `item`, `time` and `kind` as `Untold.events`. Raises DataError for those of another run."""
    for user, item, _, kind in rows:
        for role, raw in (("user", user), ("item", item)):
            rules.check_id(role, raw, str(path))
        if not rules.kinds and kind not in (None, RETRACTION):
            raise DataError(
                f"{path} has events of the kind {kind!r}, and the run learnt from events without kinds; it is that of "
                f"another run"
            )
        if rules.kinds and kind is None:
            raise DataError(f"{path} has events without kinds, and the run's have them; it is that of another run")
    users, items, times, kinds = zip(*rows, strict=True) if rows else ((), (), (), ())
    ids = rules.ids or IdTypes(str, str)
    is_whole = all(isinstance(one, int) or one.is_integer() for one in times)
    found = pl.DataFrame(
        [
            pl.Series("user", users, dtype=pl.String if ids.user is str else pl.Int64),
            pl.Series("item", items, dtype=pl.String if ids.item is str else pl.Int64),
            pl.Series("time", [int(one) if is_whole else float(one) for one in times],
                      dtype=pl.Int64 if is_whole else pl.Float64),
            pl.Series("kind", [kind or _NO_KIND for kind in kinds], dtype=pl.String),
        ]
    )  # fmt: skip
    return found if rules.kinds or RETRACTION in kinds else found.drop("kind")
