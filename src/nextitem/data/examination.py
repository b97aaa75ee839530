"""What a log holds and what a training would use of it, before anything is made of it."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from nextitem.data.interactions import Interactions
from nextitem.data.prepare import load_events, prepared_of
from nextitem.data.source import EventSettings, Source
from nextitem.words import counted, percent


@dataclass(frozen=True)
class Examination:
    """Counts of events, but where another unit is named."""

    data: str
    events: int
    users: int
    """Users."""
    items: int
    """Items."""
    columns: dict[str, str] | None
    """Role -> name of the column in the file, and what else was said or found; None for a dataset by name."""
    not_read: tuple[str, ...]
    """The other columns of the file."""
    first_time: str | None
    """ISO 8601 in UTC, as the next; None of a log without times."""
    last_time: str | None
    duplicates: int
    """Beside the first of each user with each item at each time."""
    repeated: int
    """Beside the first of each user with each item."""
    tied: int
    """That share user and time with another, so that the order of rows decides."""
    users_with_tied_end: int
    """Users whose last two events share their time: which of them is held out is arbitrary."""
    shortest: int
    """Events of a user, as the next two."""
    median: float
    longest: int
    used: int
    """That the filters keep."""
    training: int
    validation: int
    """Cases, as of test."""
    test: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The same for people, a line each; notes are not among them."""
        has_times = self.first_time is not None
        share, ends = percent(self.users_with_tied_end / self.users, 1), counted(self.users_with_tied_end, "user")
        tied = counted(self.tied, "event shares", "events share")
        ties = f"{tied} user and time with another; the last two of {ends} ({share}) do" if has_times else "none"
        of_times = (
            f"{self.first_time} to {self.last_time}" if has_times else "none: the order of rows is taken for time"
        )
        at_once = f"; {self.duplicates:,} of them at the same time" if has_times else ""
        return [
            f"{self.data}: {self.events:,} events of {self.users:,} users and {self.items:,} items",
            f"  columns     {self._columns()}",
            f"  times       {of_times}",
            f"  histories   {self.shortest:,} to {self.longest:,} events, median {self.median:,.0f}",
            f"  repeats     {counted(self.repeated, 'event repeats', 'events repeat')} an item of their user{at_once}",
            f"  ties        {ties}",
            "  missing     none: a missing value is refused with its row",
            f"  would use   {self.used:,} events: {self.training:,} to learn from, {self.validation:,} validation "
            f"cases, {self.test:,} test cases",
        ]

    def _columns(self) -> str:
        if self.columns is None:
            return "its own"
        named = ", ".join(f"{key} {name!r}" for key, name in self.columns.items())
        return named + (f"; not read: {', '.join(self.not_read)}" if self.not_read else "")


def examine(settings: EventSettings) -> Examination:
    """What is in a file or a dataset, and what its filters and split make of it. Raises what `prepare` raises."""
    source = Source.of(settings)
    loaded = load_events(source)
    prepared, log = prepared_of(source, loaded), loaded.events
    lengths = log.events.group_by("user").len()["len"]
    known = None if loaded.found is None else loaded.found.columns
    header = () if loaded.found is None else loaded.found.header
    return Examination(
        data=source.data,
        events=len(log),
        users=log.number_of_users,
        items=log.number_of_items,
        columns=None if known is None else known.said,
        not_read=tuple(name for name in header if known is not None and name not in known.roles.values()),
        first_time=_moment(log, "min"),
        last_time=_moment(log, "max"),
        duplicates=len(log) - log.events.n_unique(),
        repeated=log.repeated_events,
        tied=log.tied_events,
        users_with_tied_end=log.users_with_tied_end,
        shortest=int(lengths.min()),  # type: ignore[arg-type]
        median=float(lengths.median()),  # type: ignore[arg-type]
        longest=int(lengths.max()),  # type: ignore[arg-type]
        used=int(prepared.log.sequences.lengths_U.sum()),
        training=int(prepared.split.train.lengths_U.sum()),
        validation=len(prepared.split.validation),
        test=len(prepared.split.test),
        notes=prepared.notes,
    )


def _moment(log: Interactions, which: str) -> str | None:
    if "time" not in log.events.columns:
        return None
    column = pl.col("time").min() if which == "min" else pl.col("time").max()
    seconds = float(log.events.select(column).item())
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
