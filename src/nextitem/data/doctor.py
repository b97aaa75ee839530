"""What was left out of a log, how it was put in order and what is ambiguous in it, in words."""

from dataclasses import dataclass


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
        said.append(f"{counts.read - counts.kept:,} of {counts.read:,} events left out by the filters")
        said.append(
            "filters are applied before the split, as to published data: events that are held out later count towards "
            "minima and decide which repeats are kept, and so which events are learnt from"
        )
    if counts.repeated:
        said.append(
            f"{counts.repeated:,} events repeat an item of the same user and are kept; a target that does is "
            f"hidden, unless hide=nothing"
        )
    said.extend(of_split)
    if counts.tied:
        said.append(f"{counts.tied:,} events share user and time with another; file order decides")
    return tuple(said)
