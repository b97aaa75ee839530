"""What happened in a training, epoch by epoch, and who is told of it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Protocol, runtime_checkable

from pydantic import Field

from nextitem.settings.configuration import Configuration
from nextitem.storage import parsed
from nextitem.words import counted

_NEWS = 0.01  # share of the first epoch's targets that has to be idle


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
    positions: int = 0
    """Targets of the epoch's steps."""
    idle: int = 0
    """How many of them could teach nothing: no negative was left for them, or they weigh 0."""


@dataclass
class History:
    """What happened, epoch by epoch, and which epoch's weights the model has."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def train_seconds(self) -> float:
        """Seconds of optimisation over all epochs."""
        return sum(epoch.train_seconds for epoch in self.epochs)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to know about how it was learnt, in words."""
        first = next(iter(self.epochs), None)
        # That the one draw of a set is now and then the target itself is how sampling goes, and no news.
        if first is None or first.idle < _NEWS * max(1, first.positions):
            return ()
        return (
            f"{first.idle:,} of {counted(first.positions, 'target')} of epoch 1 taught nothing: no negative was left "
            f"for them, or they weigh 0",
        )

    def as_lines(self) -> list[dict[str, object]]:
        """The epochs as plain values."""
        return [asdict(epoch) for epoch in self.epochs]


class _Line(Configuration):
    """An epoch as it is stored: what may be said of it at all."""

    epoch: int
    train_loss: float
    validation_loss: float | None = Field(allow_inf_nan=True)  # it stops nothing
    validation: dict[str, float]
    train_seconds: float = Field(ge=0)
    positions_per_second: float = Field(ge=0)
    positions: int = Field(0, ge=0)  # runs that were stored before these were counted have none
    idle: int = Field(0, ge=0)


def epochs_of(lines: Iterable[bytes]) -> list[Epoch]:
    """The epochs that lines of JSON hold, as they were written. Raises ValueError by line and field."""
    epochs = []
    for number, line in enumerate(lines, 1):
        try:
            stored = parsed(_Line, line)
            if stored.epoch != number:
                raise ValueError(f"epoch = {stored.epoch:,} should be {number:,}")
        except ValueError as error:
            raise ValueError(f"line {number:,}: {error}") from error
        epochs.append(Epoch(**dict(stored)))
    return epochs


@runtime_checkable
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
