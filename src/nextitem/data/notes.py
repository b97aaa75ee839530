"""What was left out of a log, how it was put in order and what is ambiguous in it, in words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from nextitem.errors import DataError
from nextitem.words import counted

_REASONS = 5  # in a sentence


@dataclass(frozen=True)
class Counts:
    """Numbers of events."""

    read: int
    kept: int
    """By the filters."""
    repeated: int
    """Beside the first of each user with each item."""
    tied: int
    """That share user and time with another."""
    doubled: int = 0
    """Beside the first of each user with each item at each time."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Rows that are no events, by what is wrong with them: those that were left out and written to a file."""


def left_out(rejected: Mapping[str, int]) -> str:
    """How many rows were left out, and why.

    >>> left_out({"has too few fields": 1, "user is blank": 3})
    '4 rows left out, since they cannot be used: user is blank (3), has too few fields (1)'
    """
    reasons = sorted(rejected.items(), key=lambda one: -one[1])
    most = [f"{reason} ({count:,})" for reason, count in reasons[:_REASONS]]
    more = f", and {counted(len(reasons) - _REASONS, 'other reason')}" if len(reasons) > _REASONS else ""
    they = counted(sum(rejected.values()), "row left out, since it", "rows left out, since they")
    return f"{they} cannot be used: {', '.join(most)}{more}"


def notes(order: str, counts: Counts, of_split: tuple[str, ...]) -> tuple[str, ...]:
    """What is to know about a log: the sentences about its order and of its split, and what the counts tell."""
    said = [order] if order else []
    if counts.rejected:
        said.append(left_out(counts.rejected))
    if counts.kept < counts.read:
        said.append(f"{counts.read - counts.kept:,} of {counted(counts.read, 'event')} left out by the filters")
        said.append(
            "filters are applied before the split, as to published data: events that are held out later count towards "
            "minima and decide which repeats are kept, and so which events are learnt from"
        )
    if counts.repeated:
        said.append(
            f"{counted(counts.repeated, 'event repeats', 'events repeat')} an item of the same user and "
            f"{'is' if counts.repeated == 1 else 'are'} kept; a target that does is hidden, unless hide=nothing"
        )
    if counts.doubled:
        said.append(
            f"{counted(counts.doubled, 'row is', 'rows are')} there twice, user, item and time; filters.repeats=first "
            f"drops them"
        )
    said.extend(of_split)
    if counts.tied:
        tied = counted(counts.tied, "event shares", "events share")
        said.append(f"{tied} user and time with another; file order decides")
    return tuple(said)


@contextmanager
def named_in_errors(data: str, rejected: Mapping[str, int]) -> Iterator[None]:
    """What is raised of data names them, and says which of their rows were left out before."""
    try:
        yield
    except DataError as error:
        further = f" ({left_out(rejected)})" if rejected else ""
        raise DataError(f"{data}: {error}{further}") from error
