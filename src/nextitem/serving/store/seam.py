"""The store of a service as whoever serves asks it: events, who is forgotten, what changed in the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import polars as pl

from nextitem.serving.ids import RawId
from nextitem.serving.store.catalogue import StoredCatalogue
from nextitem.serving.store.events import Receipt, Rules, StoredEvent


@dataclass(frozen=True)
class Export:
    """All that is stored of a user."""

    events: tuple[StoredEvent, ...]
    """In order of time, then of arrival; what was taken back and what took it back are among them."""
    is_forgotten: bool
    """Whether the user was deleted at some time, so that the run's own history of theirs is not used."""


class Store(Protocol):
    """All that changes anything returns when it is on disk, and raises StorageError where that is not certain.

    Reading sees all that was acknowledged, by whichever service that shares the store.
    """

    @property
    def rules(self) -> Rules:
        """What must hold of an event."""

    @property
    def name(self) -> str:
        """Of this database and its copies alone: 16 hexadecimal digits."""

    @property
    def catalogue(self) -> StoredCatalogue:
        """What changed in the catalogue."""

    @property
    def waiting(self) -> int:
        """How many requests of this process wait to be written."""

    def close(self) -> None:
        """Store what waits, and let go."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def add(self, events: Sequence[StoredEvent], key: str | None = None) -> Receipt:
        """Store events, all or none of them; they are on disk.

        A `key` that came before with the same events stores nothing again. Raises KeyReusedError where it came with
        others, DataError for an event that cannot be stored, QueueFullError where too many requests wait.
        """

    async def add_async(self, events: Sequence[StoredEvent], key: str | None = None) -> Receipt:
        """As `add`; whoever is cancelled before it is written stores nothing."""

    def of_user(self, user: RawId, after: int = 0, *, with_retractions: bool = False) -> list[StoredEvent]:
        """The events of a user in order of time, then of arrival; those that arrived `after` a number alone.

        Where the run's events have no kinds, those that were taken back are left out, unless `with_retractions`.
        """

    def export(self, user: RawId) -> Export:
        """All that is stored of a user."""

    def is_forgotten(self, user: RawId) -> bool:
        """Whether the user was deleted: nothing that a run has of theirs may be used, whatever came later is new."""

    def forgotten(self) -> list[RawId]:
        """Who was deleted."""

    def forget(self, user: RawId) -> int:
        """Delete a user for good, also where a run has them; how many events these were."""

    def frame(self, after: int = 0) -> pl.DataFrame:
        """All events in order of arrival, or those that arrived `after` a number, as a log to learn from."""

    def count_on_from(self, number: int) -> None:
        """Give no later event a number up to this one: a run may have learnt events that this copy has not."""

    def in_doubt(self, number: int, since: float) -> int:
        """How many events up to a number happened after a moment, in unix seconds."""

    def latest(self) -> int:
        """The number of the event that arrived last: they count from 1, and none is used again."""

    def count(self) -> int:
        """How many events are stored."""
