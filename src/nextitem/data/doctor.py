"""What was left out of a log, how it was put in order and what is ambiguous in it, in words."""

from dataclasses import dataclass

from nextitem.words import counted


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


def notes(order: str, counts: Counts, of_split: tuple[str, ...]) -> tuple[str, ...]:
    """What is to know about a log: the sentences about its order and of its split, and what the counts tell."""
    said = [order] if order else []
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
    said.extend(of_split)
    if counts.tied:
        tied = counted(counts.tied, "event shares", "events share")
        said.append(f"{tied} user and time with another; file order decides")
    return tuple(said)
