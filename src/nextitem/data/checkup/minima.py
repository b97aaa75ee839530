"""What would be left of a log if users and items with few events were left out."""

from dataclasses import dataclass

import polars as pl

from nextitem.data.checkup.finding import Finding
from nextitem.data.filters import k_core
from nextitem.data.interactions import Interactions
from nextitem.data.sequences import Sequences
from nextitem.words import counted, percent

CORE = 5


@dataclass(frozen=True)
class Minima:
    """What is left of a log when users and items with fewer than five events are dropped until nothing changes."""

    users: int
    items: int
    events: int
    share: float
    """Of the events, that is left."""

    @classmethod
    def of(cls, histories: Sequences) -> "Minima":
        """The 5-core of all histories, with repeats as they are."""
        rows, items = histories.flatten()
        log = Interactions(pl.DataFrame({"user": rows.numpy(), "item": items.numpy()}))
        left = k_core(log, CORE, CORE)
        return cls(left.number_of_users, left.number_of_items, len(left), len(left) / len(log))

    @property
    def finding(self) -> Finding:
        """Sizes of the 5-core."""
        if not self.events:
            return Finding("no user and item have five events each, so nothing would be left of the 5-core")
        whose = f"{counted(self.users, 'user')}, {counted(self.items, 'item')} and {counted(self.events, 'event')}"
        return Finding(f"the 5-core has {whose} ({percent(self.share, 1)} of all)")
