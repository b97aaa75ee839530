"""How many training targets a maximum length leaves out. U users, L length."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.sequences import Sequences
from nextitem.words import percent

LENGTHS = (20, 50, 100, 200, 500)


@dataclass(frozen=True)
class Window:
    """What a maximum length makes of the training part, where each user has one window: the last L + 1 events."""

    length: int
    lost: float
    """Share of the training targets that stand in no window."""
    windows: float
    """Windows a user, where stride=L lets the windows of a long history meet: then no target is lost."""


@dataclass(frozen=True)
class Windows:
    """Training targets: of a user all events in the training part but the first, if their kind is one of targets."""

    targets: int
    by_length: tuple[Window, ...]

    @classmethod
    def of(cls, train: Sequences) -> "Windows":
        """What each of `LENGTHS` leaves out; a mapped log is read some users at a time."""
        later = torch.zeros(len(LENGTHS), dtype=torch.int64)
        total = 0
        for part in train.parts():
            ages = _ages(part)
            total += len(ages)
            later += torch.stack([(ages >= length).sum() for length in LENGTHS])
        sizes_U = train.sizes_U[train.sizes_U > 1] - 1
        by_length = zip(LENGTHS, later.tolist(), strict=True)
        return cls(total, tuple(Window(one, lost / max(total, 1), _windows(sizes_U, one)) for one, lost in by_length))

    def shortest(self, lost: float) -> Window | None:
        """The first length that loses at most such a share of the targets; None where all lose more."""
        return next((window for window in self.by_length if window.lost <= lost), None)

    def at(self, length: int) -> Window:
        """That of one of `LENGTHS`."""
        return next(window for window in self.by_length if window.length == length)

    @property
    def finding(self) -> Finding:
        """The share that is lost at each length."""
        if not self.targets:
            return Finding(
                "no user has two training events, so there is no target to learn from",
                Severity.WARNING,
                "give longer histories",
            )
        losses = [f"{percent(one.lost, 1)} at {one.length}" for one in self.by_length if one.lost > 0]
        if not losses:
            return Finding(f"none of {self.targets:,} training targets is lost at {LENGTHS[0]} or more events")
        sentence = f"of {self.targets:,} training targets the last window leaves out {', '.join(losses)} events"
        return Finding(sentence, Severity.NOTE, "set objective.stride as well: windows of earlier events keep them")


def _ages(train: Sequences) -> Tensor:
    """Of each training target how many events of its user are newer."""
    lengths_U = train.sizes_U
    rows, offsets = transfer.places(lengths_U, int(lengths_U.sum()))
    is_target = offsets > 0
    if train.has_weights:
        is_target &= train.events.weights_at(train.starts_U[rows] + offsets) > 0
    return (lengths_U[rows] - 1 - offsets)[is_target]


def _windows(targets_U: Tensor, length: int) -> float:
    return float((1 + (targets_U - 1) // length).double().mean()) if len(targets_U) else 1.0
