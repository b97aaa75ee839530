"""Which events share user and time, so that only the order of rows ranks them. U users."""

from dataclasses import dataclass

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.sequences import Sequences
from nextitem.words import counted, percent

_MANY = 0.1


@dataclass(frozen=True)
class Ties:
    """Events and users, of all."""

    events: int
    users: int
    tied: int
    """Events that share user and time with another."""
    users_with_tied_end: int
    """Users whose last two events share their time: which of them is held out is arbitrary."""

    @property
    def share_of_ends(self) -> float:
        """Share of the users whose last two events share their time."""
        return self.users_with_tied_end / self.users

    @property
    def finding(self) -> Finding:
        """How many events are tied, and for how many users the held-out one is arbitrary."""
        if not self.tied:
            return Finding("none: no two events of a user share their time")
        tied = counted(self.tied, "event shares", "events share")
        ends = counted(self.users_with_tied_end, "user")
        sentence = (
            f"{tied} user and time with another ({_share(self.tied / self.events)}); the last two of {ends} "
            f"({_share(self.share_of_ends)}) do"
        )
        if self.share_of_ends <= _MANY:
            return Finding(sentence, Severity.NOTE)
        remedy = (
            "give finer times, or a split that does not rest on the last event: which one is last is arbitrary here"
        )
        return Finding(sentence, Severity.WARNING, remedy)


def _share(share: float) -> str:
    return percent(share, 1 if share >= 0.001 or not share else 4)


def tied_ends(histories: Sequences) -> int:
    """How many users have two last events whose times are equal to the second's fraction that is kept of them."""
    long = histories.select(histories.lengths_U >= 2)
    last, before = (long.events.times_at(long.stops_U - back) for back in (1, 2))
    return int((last == before).sum())
