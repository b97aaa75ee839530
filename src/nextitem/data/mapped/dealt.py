"""Events dealt out to stretches of the catalogue of users, each small enough for the memory. P stretches."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nextitem.data.mapped.store import Arrays, Store


@dataclass
class Dealt:
    """Events in P stretches of users; within each in file order."""

    store: Store
    starts_P: NDArray[np.int64]
    counts_P: NDArray[np.int64]

    def stretches(self, roles: Iterable[str] | None = None) -> Iterator[Callable[[], Arrays]]:
        """What reads the events of each stretch."""
        for start, count in zip(self.starts_P.tolist(), self.counts_P.tolist(), strict=True):
            if count:
                yield partial(self.store.read, start, count, roles)

    def rewrite(self, change: Callable[[Arrays], Arrays]) -> None:
        """Replace each stretch by what `change` leaves of it."""
        for number, start in enumerate(self.starts_P.tolist()):
            if self.counts_P[number]:
                columns = change(self.store.read(start, int(self.counts_P[number])))
                self.store.write(columns, start)
                self.counts_P[number] = len(columns["user"])
