"""What was left out of a log or is ambiguous in it, in words."""


def notes(read: int, kept: int, repeated_events: int, short_users: int, tied_events: int) -> tuple[str, ...]:
    """What was left out or is ambiguous, in words, given numbers of events and users."""
    said = []
    if kept < read:
        said.append(f"{read - kept:,} of {read:,} events left out by the filters")
    if repeated_events:
        said.append(
            f"{repeated_events:,} events repeat an item of the same user and are kept; a target that does counts as "
            f"missed"
        )
    if short_users:
        said.append(f"{short_users:,} users with fewer than 3 events are trained on but not evaluated")
    if tied_events:
        said.append(f"{tied_events:,} events share user and time with another; file order decides")
    return tuple(said)
