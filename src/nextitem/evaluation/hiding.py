"""Which items of a history are left out of what is ranked or recommended after it: one setting for both."""

import re
from typing import Annotated

from pydantic import AfterValidator

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.settings.given import told

_LATEST = re.compile(r"last:([1-9][0-9]{0,8})")


def hidden(hide: str, histories: Sequences) -> Sequences | None:
    """The events whose items are left out after each history: all, none (None), or the latest of them.

    >>> hidden("last:2", Sequences.of([[3, 1, 2], [0]], number_of_items=4)).tolist()
    [[1, 2], [0]]

    Raises ConfigurationError for what is neither `history` nor `nothing` nor `last:n`.
    """
    if hide == "nothing":
        return None
    match = _LATEST.fullmatch(checked(hide))
    return histories if match is None else histories.last(int(match[1]))


def checked(hide: str) -> str:
    """The same. Raises ConfigurationError for what is neither `history` nor `nothing` nor `last:n`."""
    if isinstance(hide, str) and (hide in ("history", "nothing") or _LATEST.fullmatch(hide)):
        return hide
    raise ConfigurationError(
        f"hide={told(hide)} should be history, nothing, or last:n for the items of the latest n events, such as last:5"
    )


def in_words(hide: str) -> str:
    """What is left out, such as `the last 5 events hidden`, for a sentence."""
    match = _LATEST.fullmatch(hide)
    if match is None:
        return f"{hide} hidden"
    return "the last event hidden" if match[1] == "1" else f"the last {match[1]} events hidden"


def _as_setting(hide: str) -> str:
    try:
        return checked(hide)
    except ConfigurationError as error:
        raise ValueError(str(error).partition(" ")[2]) from error  # the setting's name and value stand before it


Hide = Annotated[str, AfterValidator(_as_setting)]
"""`history`, `nothing`, or `last:n`: the items of the latest n events."""
