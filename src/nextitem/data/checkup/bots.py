"""Users whose events hardly come from one person. U users, E events."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.log import Log
from nextitem.data.sequences import Sequences
from nextitem.words import counted, percent

HOUR = 3600
AN_HOUR = 1000
"""More events than these within an hour, one every 3.6 seconds for all of it, are too many for a person."""
_TUKEY, _TIMES_MEDIAN = 3.0, 10
_SHOWN = 5
_MUCH = 0.05  # of the events, that suspects have together


@dataclass(frozen=True)
class Suspect:
    """A user with too many events."""

    user: str | int
    """The raw id."""
    events: int
    busiest_hour: int | None
    """The most events within one hour; None without times."""


@dataclass(frozen=True)
class Bots:
    """Users with far more events than others, or with more in an hour than a person has."""

    most: int
    """Events a user may have without being far out: Tukey's outer fence of the logarithms, or ten medians if more."""
    far_out: int
    """Users beyond it."""
    too_fast: int
    """Users with more than a thousand events within an hour."""
    users: int
    """Users who are one or the other."""
    share: float
    """Of all events, that these have."""
    suspects: tuple[Suspect, ...]
    """Those with the most events, at most five."""

    @classmethod
    def of(cls, log: Log) -> "Bots":
        """Those of a log."""
        histories = log.sequences
        lengths_U = histories.sizes_U
        most = outer_fence(lengths_U)
        rates_U = _busiest_hours(histories) if histories.has_times else None
        is_far_U = lengths_U > most
        is_fast_U = torch.zeros_like(is_far_U) if rates_U is None else rates_U > AN_HOUR
        found = (is_far_U | is_fast_U).nonzero()[:, 0]
        shown = found[lengths_U[found].argsort(descending=True, stable=True)][:_SHOWN]
        suspects = tuple(
            Suspect(raw, int(lengths_U[n]), None if rates_U is None else int(rates_U[n]))
            for raw, n in zip(log.users.raw(shown), shown.tolist(), strict=True)
        )
        share = int(lengths_U[found].sum()) / int(lengths_U.sum())
        return cls(most, int(is_far_U.sum()), int(is_fast_U.sum()), len(found), share, suspects)

    @property
    def finding(self) -> Finding:
        """How many suspects there are, what they hold, and who has the most events."""
        if not self.users:
            return Finding(f"no user has more than {self.most:,} events, or more than {AN_HOUR:,} in an hour")
        worst = self.suspects[0]
        who = (
            f"{self.far_out:,} have more than {self.most:,} events, {self.too_fast:,} more than {AN_HOUR:,} in an hour"
        )
        sentence = (
            f"{counted(self.users, 'user')} with {percent(self.share, 1)} of the events: {who}; "
            f"the most are {worst.events:,}, of {worst.user!r}"
        )
        remedy = "look at these users, and drop their rows if they are no people"
        return Finding(sentence, Severity.WARNING if self.share > _MUCH else Severity.NOTE, remedy)


def outer_fence(lengths_U: Tensor) -> int:
    """How many events a user may have: lengths spread over orders of magnitude, so logarithms are compared.

    Tukey's outer fence is the third quartile and three times the distance of the quartiles (J. W. Tukey, Exploratory
    Data Analysis, 1977). Where most users have equally many that distance is 0: ten medians are always allowed.

    >>> outer_fence(torch.tensor([4, 4, 4, 4, 4]))
    40
    """
    ordered = lengths_U.sort().values.double()
    quarter, median, three = (float(ordered[round(at * (len(ordered) - 1))]) for at in (0.25, 0.5, 0.75))
    return max(int(three * (three / quarter) ** _TUKEY), round(_TIMES_MEDIAN * median))


def _busiest_hours(histories: Sequences) -> Tensor:
    """The most events of each user within one hour, shape (U,); a mapped log is read some users at a time."""
    found = []
    for part in histories.parts():
        lengths = part.sizes_U
        rows = torch.repeat_interleave(lengths)
        seconds = part.times().floor().long()
        seconds -= seconds.min()
        # One line for all: users lie further apart than an hour.
        line = rows * (int(seconds.max()) + HOUR + 1) + seconds
        within = torch.searchsorted(line, line + HOUR) - torch.arange(len(line))
        found.append(torch.zeros(len(lengths), dtype=torch.int64).scatter_reduce_(0, rows, within, "amax"))
    return torch.cat(found)
