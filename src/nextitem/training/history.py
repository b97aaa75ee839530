"""What happened in a training, epoch by epoch, and who is told of it."""

from dataclasses import asdict, dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Epoch:
    """One line of history.jsonl."""

    epoch: int
    train_loss: float
    """Mean loss per target position, in training mode."""
    validation_loss: float | None
    validation: dict[str, float]
    train_seconds: float
    """Seconds of optimisation, without validation."""
    positions_per_second: float


@dataclass
class History:
    """What happened, epoch by epoch, and which epoch's weights the model has."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def train_seconds(self) -> float:
        """Seconds of optimisation over all epochs."""
        return sum(epoch.train_seconds for epoch in self.epochs)

    def as_lines(self) -> list[dict[str, object]]:
        """The epochs as plain values."""
        return [asdict(epoch) for epoch in self.epochs]


class Watcher(Protocol):
    """Is told how training goes, to show or log it."""

    def step(self, epoch: int, step: int, steps: int) -> None:
        """A step (from 1) of an epoch is done."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        """An epoch is done, validated and saved."""


class Silent:
    """Shows nothing."""

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        """Nothing."""
