"""Which items of a history are left out of what is ranked or recommended after it: one setting for both. C cases."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from pydantic import AfterValidator
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.settings.given import told

_LATEST = re.compile(r"last:([1-9][0-9]{0,8})")


class Seen(Protocol):
    """Items of each case that are left out: views of histories, or what else is known to be unwanted."""

    def __len__(self) -> int:
        """C."""

    def select(self, rows: Tensor | slice) -> "Seen":
        """Those of some of the cases."""

    def flatten(self) -> tuple[Tensor, Tensor]:
        """(rows, items) of all of them; an item may be there more than once."""

    def parts(self) -> "Iterator[Seen]":
        """The cases in order, some at a time: those of a mapped log may be larger than the memory."""


@dataclass(frozen=True)
class SeenOrDisliked:
    """Items of histories, and those that their users said no to before their end."""

    histories: Seen
    disliked: Sequences

    def __len__(self) -> int:
        return len(self.histories)

    def select(self, rows: Tensor | slice) -> "SeenOrDisliked":
        """Those of some of the cases."""
        return SeenOrDisliked(self.histories.select(rows), self.disliked.select(rows))

    def flatten(self) -> tuple[Tensor, Tensor]:
        """(rows, items): all of the histories, and then all that is disliked."""
        rows, items = zip(self.histories.flatten(), self.disliked.flatten(), strict=True)
        return torch.cat(rows), torch.cat(items)

    def parts(self) -> "Iterator[SeenOrDisliked]":
        """The cases in order, some at a time."""
        start = 0
        for part in self.histories.parts():
            yield SeenOrDisliked(part, self.disliked.select(slice(start, start + len(part))))
            start += len(part)


def hidden(hide: str, histories: Sequences) -> Seen | None:
    """What is left out after each history: the items of all events, of none (None), or of the latest of them.

    What its user had said no to by its end is left out beside these, whatever `hide` says.

    >>> hidden("last:2", Sequences.of([[3, 1, 2], [0]], number_of_items=4)).tolist()
    [[1, 2], [0]]

    Raises ConfigurationError for what is neither `history` nor `nothing` nor `last:n`.
    """
    disliked = histories.disliked()
    if hide == "nothing":
        return disliked
    match = _LATEST.fullmatch(checked(hide))
    seen = histories if match is None else histories.last(int(match[1]))
    return seen if disliked is None else SeenOrDisliked(seen, disliked)


def hidden_targets(seen: Seen | None, targets_C: Tensor) -> Tensor:
    """Whether each case's target is an item of its view of `seen`, shape (C,); never where `seen` is None.

    Some of the views are read at a time: those of a mapped log may be larger than the memory.
    """
    if seen is None:
        return torch.zeros(len(targets_C), dtype=torch.bool)
    found, start, targets_C = [torch.zeros(0, dtype=torch.bool)], 0, targets_C.cpu()
    for part in seen.parts():
        found.append(among(*part.flatten(), targets_C[start : start + len(part)]))
        start += len(part)
    return torch.cat(found)


def among(rows: Tensor, items: Tensor, targets_R: Tensor) -> Tensor:
    """Whether each target is one of the `items` of its row, shape (R,); `rows` says of each item whose it is."""
    return torch.zeros(len(targets_R), dtype=torch.bool).index_fill(0, rows[items == targets_R[rows]], True)


def checked(hide: str) -> str:
    """The same. Raises ConfigurationError for what is neither `history` nor `nothing` nor `last:n`."""
    if isinstance(hide, str) and (hide in ("history", "nothing") or _LATEST.fullmatch(hide)):
        return hide
    raise ConfigurationError(
        f"hide={told(hide)} should be history, nothing, or last:n for the items of the latest n events, such as last:5"
    )


def latest(hide: str) -> int | None:
    """Of how many events at the end of a history the items are left out; None: of all of them. 0 for `nothing`.

    >>> latest("last:5"), latest("history"), latest("nothing")
    (5, None, 0)
    """
    match = _LATEST.fullmatch(checked(hide))
    return int(match[1]) if match else 0 if hide == "nothing" else None


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
