"""How long histories are. U users."""

from bisect import bisect_left
from dataclasses import dataclass

import torch

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.sequences import Sequences
from nextitem.words import counted, percent

_ENDS = (1, 2, *(digit * 10**power for power in range(9) for digit in (5, 10, 20)))
"""Where bands of a histogram end: 1, 2, 5, 10, 20, 50, …"""
_MANY_SHORT = 0.1


@dataclass(frozen=True)
class Band:
    """How many users have `first` to `last` events."""

    first: int
    last: int
    users: int


@dataclass(frozen=True)
class Lengths:
    """Events of a user."""

    users: int
    shortest: int
    median: float
    mean: float
    most_have: int
    """The 95 % quantile: as many users have at most so many."""
    longest: int
    under_3: int
    """Users of whom leave-one-out can hold nothing out."""
    under_5: int
    bands: tuple[Band, ...]

    @classmethod
    def of(cls, histories: Sequences) -> "Lengths":
        """Those of all histories."""
        lengths_U = histories.sizes_U
        ordered = lengths_U.sort().values.tolist()
        return cls(
            users=len(ordered),
            shortest=ordered[0],
            median=(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2,
            mean=float(lengths_U.double().mean()),
            most_have=ordered[-(-19 * len(ordered) // 20) - 1],
            longest=ordered[-1],
            under_3=bisect_left(ordered, 3),
            under_5=bisect_left(ordered, 5),
            bands=_bands(lengths_U),
        )

    @property
    def finding(self) -> Finding:
        """The spread, and a warning where many users are too short to be asked."""
        spread = f"{self.shortest:,} to {self.longest:,} events a user"
        sentence = f"{spread}: median {self.median:,.0f}, mean {self.mean:,.1f}, 95 % have at most {self.most_have:,}"
        if not self.under_3:
            return Finding(sentence)
        short = counted(self.under_3, "user has", "users have")
        sentence += f"; {short} fewer than 3 ({percent(self.under_3 / self.users, 1)})"
        if self.under_3 <= _MANY_SHORT * self.users:
            return Finding(sentence, Severity.NOTE)
        remedy = "leave them out by filters.minimum_per_user=3: they are learnt from, but cannot be asked"
        return Finding(sentence, Severity.WARNING, remedy)


def _bands(lengths_U: torch.Tensor) -> tuple[Band, ...]:
    """From the band of the shortest history to that of the longest, empty ones between them too.

    >>> [(band.first, band.last, band.users) for band in _bands(torch.tensor([3, 4, 12]))]
    [(3, 5, 2), (6, 10, 0), (11, 20, 1)]
    """
    ends = torch.tensor(_ENDS)
    counts = torch.bincount(torch.searchsorted(ends, lengths_U), minlength=len(ends)).tolist()
    filled = [place for place, count in enumerate(counts) if count]
    starts = [1, *(end + 1 for end in _ENDS)]
    return tuple(Band(starts[n], _ENDS[n], counts[n]) for n in range(filled[0], filled[-1] + 1))
