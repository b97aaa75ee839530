"""What a training goes on with beside its recipe: a seed, processes, who watches, and where it is kept meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from nextitem.compute.processes import ALONE, Processes
from nextitem.model.sharded import TABLE
from nextitem.settings.given import must_be, of_kind, seed_number
from nextitem.storage import Made
from nextitem.training.history import History, Silent, Watcher
from nextitem.training.lessons import Lessons, Teacher
from nextitem.training.optimisation import Descent
from nextitem.training.trainable import Trainable


@dataclass
class Progress:
    """Everything needed to go on after an epoch."""

    model: Trainable
    descent: Descent
    history: History
    best_weights: dict[str, Tensor] | None = None

    def tensors(self) -> dict[str, Tensor | Made]:
        """All of it but the history, by name: `model/…`, `best/…` where there are some, `optimiser/…`.

        Where this process has some of the item table's rows, those of all are put together when a tensor is made: one
        table at a time is held beside the own rows. All processes make the same tensors in the same order then.
        """
        tensors: dict[str, Tensor] = {f"model/{name}": weight for name, weight in self.model.state_dict().items()}
        tensors |= {f"best/{name}": weight for name, weight in (self.best_weights or {}).items()}
        tensors |= {f"optimiser/{name}": value for name, value in self.descent.tensors().items()}
        kept = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        shard, shared = self.model.shard, self._names_of_rows()
        if shard is None:
            return {**kept}
        return {
            name: Made((shard.number_of_items, *tensor.shape[1:]), tensor.dtype, partial(shard.whole, tensor))
            if name in shared
            else tensor
            for name, tensor in kept.items()
        }

    def own(self, name: str, tensor: Tensor) -> Tensor:
        """Of a tensor of that name what this process has: all, or its rows of the item table."""
        shard = self.model.shard
        return tensor if shard is None or name not in self._names_of_rows() else tensor[shard.own].clone()

    def _names_of_rows(self) -> set[str]:
        return {f"model/{TABLE}", f"best/{TABLE}", *(f"optimiser/{name}" for name in self.descent.names_of_rows)}


class Checkpoint(Protocol):
    """Where a training in progress is kept."""

    def load(self, progress: Progress) -> None:
        """Restore the latest saved epoch into `progress`, if there is one."""

    def save(self, progress: Progress) -> None:
        """Keep this state, replacing the previous one as a whole."""

    def attend(self, progress: Progress) -> None:
        """Of several processes, do what `save` of the first one asks of the others, who save nothing."""

    def part(self, number: int) -> "Checkpoint":
        """Where the training of one of several models is kept, counted from 0, beside those of the others."""


@dataclass(frozen=True)
class Session:
    """Under which seed, on what, and before whose eyes a recipe is trained; the seed alone decides a result."""

    seed: int
    processes: Processes = ALONE
    """Those that train together, and the device of this one; by default one process on the CPU."""
    watcher: Watcher = field(default_factory=Silent)
    """Who is told of steps and epochs."""
    checkpoint: Checkpoint | None = None
    """Where the training is kept after every epoch, and gone on from; None: nowhere."""
    teachers: Mapping[tuple[str, ...], Teacher] = field(default_factory=dict)
    """By the folders of their runs, those that recipes name; `experiment.teachers` loads them."""
    lessons: Lessons | None = None
    """What a teacher foresees at the windows of this very training; None: there is none."""

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a seed that is no whole number from 0 to 2⁶⁴ − 1, and for what cannot watch."""
        object.__setattr__(self, "seed", seed_number(self.seed))
        must_be(self.processes, Processes, "processes", "leave them out for one process on the CPU")
        must_be(self.watcher, Watcher, "watcher", "it has the methods step and epoch")

    @classmethod
    def required(cls, session: object) -> "Session":
        """The session, where it is one. Raises ConfigurationError."""
        return of_kind(session, cls, "session", "Session(seed=0) is one")

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.processes.device
