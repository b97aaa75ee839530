"""How many training targets a maximum length leaves out. U users, L length."""

from dataclasses import dataclass

from torch import Tensor

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
    """Training targets: all events of a user in the training part but the first."""

    targets: int
    by_length: tuple[Window, ...]

    @classmethod
    def of(cls, train: Sequences) -> "Windows":
        """What each of `LENGTHS` leaves out."""
        targets_U = (train.sizes_U - 1).clamp(min=0)
        targets_U = targets_U[targets_U > 0]
        return cls(int(targets_U.sum()), tuple(_window(targets_U, length) for length in LENGTHS))

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


def _window(targets_U: Tensor, length: int) -> Window:
    total = int(targets_U.sum())
    if not total:
        return Window(length, 0.0, 1.0)
    windows_U = 1 + (targets_U - 1) // length
    return Window(length, 1 - int(targets_U.clamp(max=length).sum()) / total, float(windows_U.double().mean()))
