"""How many users, items and events there are, and how full their matrix is."""

from dataclasses import dataclass

from nextitem.data.checkup.finding import Finding
from nextitem.words import counted, percent


@dataclass(frozen=True)
class Size:
    """Counts of what the filters keep."""

    events_read: int
    """Before the filters."""
    events: int
    users: int
    items: int
    pairs: int
    """Different (user, item)."""

    @property
    def density(self) -> float:
        """Share of all pairs of a user and an item that occur; the rest of the matrix is empty (sparsity)."""
        return self.pairs / (self.users * self.items)

    @property
    def finding(self) -> Finding:
        """Counts, and the share of the matrix that is empty."""
        whose = f"{counted(self.users, 'user')} and {counted(self.items, 'item')}"
        full = percent(self.density, 1 if self.density >= 0.01 else 3)
        sentence = f"{counted(self.events, 'event')} of {whose}; {full} of all pairs of the two occur"
        if self.events < self.events_read:
            sentence += f"; the filters leave out {self.events_read - self.events:,} of {self.events_read:,} events"
        return Finding(sentence)
