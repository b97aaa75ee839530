"""What a training will take, before it starts: memory by its shapes, then time by a second of its own steps.

Where memory is short, the blocks of the full softmax are lowered until it suffices; where nothing of that kind
suffices, the training is refused with changes that would fit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from nextitem.compute.memory import available, held
from nextitem.data.prepare import Prepared
from nextitem.errors import ConfigurationError
from nextitem.experiment.plan.memory import Work, block_rows, needed
from nextitem.experiment.plan.timing import Calibration
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.losses import CrossEntropy
from nextitem.settings.overrides import resolve
from nextitem.training.session import Session
from nextitem.words import amount, in_seconds, percent


@dataclass(frozen=True)
class Plan:
    """Predictions for one training; seconds and bytes."""

    recipe: Recipe
    """The recipe, with the block of positions lowered where it would not fit otherwise."""
    memory: dict[str, int]
    """Bytes at the peak, by what they are for; `process` is what there was before."""
    available: int | None
    """Bytes that could still be allocated; None where the system does not say."""
    work: Work
    seconds: dict[str, float]
    """Of an epoch, by part; without the writing of its checkpoint."""
    block_rows: int | None
    """Positions whose exponentials exist at a time; None for a loss without blocks."""

    @property
    def peak(self) -> int:
        """Most bytes that the process will hold."""
        return sum(self.memory.values())

    @property
    def seconds_per_epoch(self) -> float:
        """Optimisation and validation."""
        return sum(self.seconds.values())

    def __str__(self) -> str:
        part = max(self.seconds, key=lambda name: self.seconds[name])
        share = self.seconds[part] / max(self.seconds_per_epoch, 1e-9)
        return f"about {amount(self.peak)} and {in_seconds(self.seconds_per_epoch)} an epoch ({part} {percent(share)})"

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "peak_memory_bytes": self.peak,
            "seconds_per_epoch": self.seconds_per_epoch,
            "positions_per_epoch": self.work.positions,
            "steps_per_epoch": self.work.steps,
            "memory_bytes": self.memory,
            "available_bytes": self.available,
            "seconds": self.seconds,
            "block_rows": self.block_rows,
            "threads": torch.get_num_threads(),
        }


def plan(
    recipe: Recipe,
    prepared: Prepared,
    session: Session,
    *,
    clock: Callable[[], float] = time.perf_counter,
    most_held: int | None = None,
) -> Plan:
    """Predict a training of the recipe; nothing of the model's size is allocated before it is known to fit.

    `most_held` are the bytes that the process has held at the most without this plan: of several plans, before the
    first. Raises ConfigurationError for a recipe that trains nothing, and for one that does not fit: with what it
    needs, what there is, and changes that would fit.
    """
    if (reason := recipe.learner.unplanned) is not None:
        raise ConfigurationError(f"{recipe.name} {reason}; leave --plan out")
    fitting, memory, room = fit_into(recipe, prepared, session)
    work = Work.of(fitting.sequence, prepared, session.device, session.seed)
    seconds = Calibration(fitting.sequence, prepared, session, clock).seconds(work)
    if session.device.type == "cpu":
        # Looked at after the steps: libraries are loaded, and what reading the data left behind is given back.
        now, most = held()
        most = most if most_held is None else most_held
        del memory["libraries"]
        memory = {"process": max(now, most - sum(memory.values())), **memory}
    return Plan(fitting, memory, room, work, seconds, _block_rows(fitting.sequence, work, len(prepared.log.items)))


def plan_together(recipe: Recipe, prepared: Prepared, session: Session) -> tuple[Recipe, Plan | None]:
    """(the recipe that fits, the first process's plan; None to the others); raises as `plan` does.

    Processes see different amounts of free memory, and must train one recipe: the first one decides.
    """
    found = plan(recipe, prepared, session) if session.processes.rank == 0 else None
    is_lowered = found is not None and found.recipe != recipe
    rows = session.processes.sum(torch.tensor([found.block_rows or 0 if found is not None and is_lowered else 0]))
    return (changed(recipe, f"loss.block_rows={int(rows)}") if int(rows) else recipe), found


def fit_into(recipe: Recipe, prepared: Prepared, session: Session) -> tuple[Recipe, dict[str, int], int | None]:
    """(the recipe with the largest blocks that fit, bytes it allocates, bytes there are); raises as `plan` does."""
    device, processes, room = session.device, session.processes, available(session.device)
    sharing = processes.size if device.type == "cpu" else 1  # each holds everything, on one machine

    def allocated(changed: Recipe) -> dict[str, int]:
        work = Work.of(changed.sequence, prepared, device, session.seed)
        return needed(changed.sequence, work, len(prepared.log.items), device, processes.size, len(prepared.log.users))

    def fits(changed: Recipe) -> bool:
        return room is None or sharing * sum(allocated(changed).values()) <= room

    if fits(recipe):
        return recipe, allocated(recipe), room
    parts = recipe.sequence
    if isinstance(parts.loss, CrossEntropy) and parts.loss.block_rows is None:
        rows = _block_rows(parts, Work.of(parts, prepared, device, session.seed), len(prepared.log.items)) or 0
        for lower in range(rows - 16, 0, -16):
            smaller = changed(recipe, f"loss.block_rows={lower}")
            if fits(smaller):
                return smaller, allocated(smaller), room
    remedies = [text for text in _remedies(recipe, fits) if text]
    need = sharing * sum(allocated(recipe).values())
    raise ConfigurationError(
        f"training {recipe.name} on {recipe.data} needs about {amount(need)} more memory on {device}, and "
        f"{amount(room or 0)} are available; "
        + (f"it would fit with {', or with '.join(remedies)}" if remedies else "no smaller step or table would fit")
    )


def _remedies(recipe: Recipe, fits: Callable[[Recipe], bool]) -> list[str]:
    """Changes of one kind each that would make it fit, each as small as it can be by halving."""
    found = []
    for step in _ladders(recipe.sequence):
        for overrides in step:
            try:
                smaller = changed(recipe, *overrides)
            except ConfigurationError:  # such as a width that the heads do not divide
                continue
            if fits(smaller):
                found.append(" ".join(overrides))
                break
    return found


def _ladders(recipe: SequenceRecipe) -> list[list[list[str]]]:
    """Ways to need less, each from the smallest change to the largest."""
    touched = "training.item_rows=touched"
    ways = [
        [
            [f"training.batch_size={recipe.training.batch_size >> n}"]
            for n in range(1, 20)
            if recipe.training.batch_size >> n
        ]
    ]
    if recipe.negatives is not None:
        ways.append([[touched]])
        ways.append([["negatives.sharing=batch"], ["negatives.sharing=batch", touched]])
        count = recipe.negatives.count or 1 << 19  # none: all targets of a step
        ways.append([[f"negatives.count={count >> n}"] for n in range(1, 20) if count >> n])
    else:
        sampled = ["loss=sampled_cross_entropy", "negatives=uniform", "negatives.count=512", "negatives.sharing=batch"]
        ways.append([sampled, [*sampled, touched]])
    ways.append([[f"encoder.dim={recipe.encoder.dim >> n}"] for n in range(1, 20) if recipe.encoder.dim >> n])
    return ways


def changed(recipe: Recipe, *overrides: str) -> Recipe:
    """The recipe with overrides as they are typed."""
    return resolve(Recipe, [("recipe", recipe.model_dump(mode="json"))], overrides).value


def _block_rows(recipe: SequenceRecipe, work: Work, number_of_items: int) -> int | None:
    loss = recipe.loss
    return block_rows(loss, work.most_positions, number_of_items) if isinstance(loss, CrossEntropy) else None
