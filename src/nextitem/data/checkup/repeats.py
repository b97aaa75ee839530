"""Who comes back to an item, and which rows are there twice. U users, E events, N items."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.sequences import Sequences
from nextitem.words import counted, percent

_FEW, _MANY_DOUBLES = 0.01, 0.01
_SAID = {
    "history": "none may be recommended again",
    "last": "what was latest may not be recommended again",
    "nothing": "all may be recommended again",
}


@dataclass(frozen=True)
class Repeats:
    """Numbers of events, but where another unit is named."""

    events: int
    repeated: int
    """Beside the first of each user with each item."""
    immediate: int
    """Of the same item as the event of the user right before."""
    doubled: int | None
    """Beside the first of each user with each item at each time; None without times."""
    users: int
    """Users who come back to an item."""
    hide: str | None = None
    """What somebody said may not be recommended again; None where nobody did."""

    @classmethod
    def of(cls, histories: Sequences, hide: str | None = None) -> "Repeats":
        """Those of all histories; a mapped log is read some users at a time."""
        repeated, immediate, doubled, users = 0, 0, 0, 0
        for part in histories.parts():
            rows_E, items_E = part.flatten()
            keys_E = rows_E * part.number_of_items + items_E
            immediate += int((keys_E[1:] == keys_E[:-1]).sum())
            order_E = keys_E.argsort(stable=True)
            is_again_E = _is_again(keys_E[order_E])
            repeated += int(is_again_E.sum())
            users += len(rows_E[order_E][is_again_E].unique())
            if part.has_times:  # of one pair, in the order of time as before
                doubled += int((is_again_E & _is_again(part.times()[order_E])).sum())
        events = int(histories.sizes_U.sum())
        return cls(events, repeated, immediate, doubled if histories.has_times else None, users, hide)

    @property
    def share(self) -> float:
        """Share of the events that repeat an item of their user."""
        return self.repeated / self.events

    @property
    def finding(self) -> Finding:
        """How many events repeat, how many of these at once, and how many are the same row again."""
        if not self.repeated:
            return Finding("none: no user has an item twice")
        again = counted(self.repeated, "event repeats", "events repeat")
        sentence = f"{again} an item of their user ({percent(self.share, 1)}), {self.immediate:,} right after it"
        if self.doubled:
            sentence += f"; {counted(self.doubled, 'row is', 'rows are')} there twice, user, item and time"
        if self.doubled and self.doubled > _MANY_DOUBLES * self.events:
            return Finding(
                sentence, Severity.WARNING, "find out why rows are doubled; filters.repeats=first drops them"
            )
        if self.hide is not None:
            return Finding(f"{sentence}; {_SAID[self.hide.partition(':')[0]]} (hide={self.hide})", Severity.NOTE)
        if self.share <= _FEW:
            return Finding(sentence, Severity.NOTE)
        return Finding(sentence, Severity.WARNING, "decide what may be recommended again: hide= below")


def _is_again(ordered_E: Tensor) -> Tensor:
    """Which of the values are equal to the one before."""
    return torch.cat([torch.zeros(min(1, len(ordered_E)), dtype=torch.bool), ordered_E[1:] == ordered_E[:-1]])
