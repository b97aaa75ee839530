"""Work whose process is killed in the middle of it, once; imported by whatever does it."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nextitem.compute.processes import Processes
from nextitem.compute.waiting import silent
from nextitem.errors import DataError
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import Extras, train_into
from nextitem.training.history import Epoch, History, Silent
from nextitem.training.session import Session


@dataclass
class Dying:
    """Squares numbers, and kills its process the first time that it is asked for one of them."""

    mark: Path
    at: int

    def __call__(self, number: int) -> int:
        if number == self.at:
            die_once(self.mark)
        if number < 0:
            raise DataError("no square is asked for of what is negative")
        return number**2


@dataclass
class DyingRanker:
    """A ranker whose machine goes once, in the middle of the lists."""

    ranker: Any
    mark: Path

    def __getattr__(self, name: str) -> Any:
        if name == "ranker":
            raise AttributeError(name)
        return getattr(self.ranker, name)

    def ranked(self, *given: Any) -> Any:
        fall_once(self.mark)
        return self.ranker.ranked(*given)


def die_once(mark: Path) -> None:
    """End this process by SIGKILL, unless the mark says that one did."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def fall_once(mark: Path) -> None:
    """End what Ray has for a machine, its raylet and with it this process, unless the mark says that one did."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Falling:
    """Work whose machine goes once, when the first of its pieces is done."""

    work: Any
    mark: Path

    def __call__(self, piece: Any) -> Any:
        found = self.work(piece)
        fall_once(self.mark)
        return found


@dataclass(frozen=True)
class FallingSpread:
    """Does pieces as another does, and a machine goes while the second kind of work is done."""

    spread: Any
    marks: Path

    def over(self, work: Any, pieces: Any) -> Any:
        name = type(work).__name__
        return self.spread.over(Falling(work, self.marks / name) if name == "Gather" else work, pieces)


@dataclass(frozen=True)
class FallingTraining:
    """A training of which the last process's machine goes once, in the second epoch."""

    workplace: Workplace
    recipe: Recipe
    mark: Path

    def __call__(self, processes: Processes) -> Any:
        watcher = self if processes.rank == processes.size - 1 else Silent()
        session = Session(self.workplace.seed, processes, watcher)
        return train_into(self.workplace, self.recipe, session, silent, Extras(baselines=False))

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Not yet."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        if epoch.epoch == 2:
            fall_once(self.mark)
