"""What was left out of a log or is ambiguous in it, in words."""


def notes(read: int, kept: int, repeated_events: int, tied_events: int, of_split: tuple[str, ...]) -> tuple[str, ...]:
    """What was left out or is ambiguous, in words, given numbers of events and what the split has to say."""
    said = []
    if kept < read:
        said.append(f"{read - kept:,} of {read:,} events left out by the filters")
    if repeated_events:
        said.append(
            f"{repeated_events:,} events repeat an item of the same user and are kept; a target that does is "
            f"hidden, unless hide=nothing"
        )
    said.extend(of_split)
    if tied_events:
        said.append(f"{tied_events:,} events share user and time with another; file order decides")
    return tuple(said)
