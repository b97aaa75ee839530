"""What a training will take, before it starts: memory by its shapes, then time by a second of its own steps.

Where memory is short, the blocks of the full softmax are lowered until it suffices; where nothing of that kind
suffices, the training is refused with changes that would fit.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from nextitem.compute.memory import available, held
from nextitem.data.prepare import Prepared
from nextitem.errors import ConfigurationError
from nextitem.experiment.plan.memory import Work, needed, shapes_of
from nextitem.experiment.plan.precision import seconds_of, settled, versions_of
from nextitem.experiment.plan.timing import StepTimes
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.settings.given import must_be
from nextitem.settings.overrides import resolve
from nextitem.training.session import Session
from nextitem.words import amount, in_seconds, percent

_LITTLE, _SHORT = 1.1, 0.1  # by which factor, or by how many seconds, an epoch's may differ and mean nothing


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
    loss_seconds: dict[str, float]
    """Of an epoch, by the versions of the loss: what it would take in another precision; empty where there is one."""
    timed_width: int
    """Numbers of a vector as steps were timed: fewer than the recipe's where those are more than 512."""

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
        told = f"about {amount(self.peak)} and {in_seconds(self.seconds_per_epoch)} an epoch ({part} {percent(share)})"
        told += _compared(self.recipe.sequence.loss.version, self.loss_seconds)
        if "lessons" in self.memory:
            lessons = amount(self.memory["lessons"])
            told += f"; before, the teacher is asked about {self.work.positions:,} targets: lists of {lessons}"
        is_narrow = self.timed_width < self.recipe.sequence.encoder.dim
        return f"{told}, from steps with encoder.dim={self.timed_width}" if is_narrow else told

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
            "loss_seconds": self.loss_seconds,
            "block_rows": self.block_rows,
            "timed_width": self.timed_width,
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
    recipe, session = Recipe.required(recipe), Session.required(session)
    must_be(prepared, Prepared, "prepared", "prepare(recipe) returns one")
    if (reason := recipe.learner.unplanned) is not None:
        raise ConfigurationError(f"{recipe.name} {reason}; leave --plan out")
    recipe = _settled(recipe, prepared, session)
    fitting, memory, room = fit_into(recipe, prepared, session)
    work = Work.of(fitting.sequence, prepared, session.device, session.seed)
    times = StepTimes(fitting.sequence, prepared, session, clock)
    seconds = times.seconds(work)
    loss_seconds = _of_versions(fitting.sequence, prepared, session, seconds["loss"], clock)
    if session.device.type == "cpu":
        # Looked at after the steps: libraries are loaded, and what reading the data left behind is given back.
        now, most = held()
        most = most if most_held is None else most_held
        del memory["libraries"]
        memory = {"process": max(now, most - sum(memory.values())), **memory}
    block = fitting.sequence.loss.block_size(shapes_of(fitting.sequence, work, len(prepared.log.items)))
    return Plan(fitting, memory, room, work, seconds, block, loss_seconds, times.width)


def _settled(recipe: Recipe, prepared: Prepared, session: Session) -> Recipe:
    """The recipe with what its parts leave open settled, once it is known to fit: timing it takes the whole table."""
    if len(versions_of(recipe)) > 1 and session.processes.rank == 0:
        fit_into(recipe, prepared, session)
    return settled(recipe, prepared, session)


def _of_versions(
    recipe: SequenceRecipe, prepared: Prepared, session: Session, seconds: float, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of an epoch's loss in each of its versions, given those of its own; empty where there is one."""
    versions = recipe.loss.versions
    if len(versions) < 2:
        return {}
    names = [version.version for version in versions]
    taken = dict(zip(names, seconds_of(versions, recipe, prepared, session, clock), strict=True))
    own = taken[recipe.loss.version]
    return {name: seconds * one / own if own else seconds for name, one in taken.items()}


def _compared(own: str, seconds: Mapping[str, float]) -> str:
    """How much faster or slower the loss would be in another version, where that is more than a little."""
    for name, one in seconds.items():
        ratio = one / seconds[own] if seconds[own] else 1.0
        is_much = abs(one - seconds[own]) > _SHORT and not 1 / _LITTLE < ratio < _LITTLE
        if name != own and is_much:
            told = f"{1 / ratio:.1f} times as fast" if ratio < 1 else f"{ratio:.1f} times slower"
            return f"; its loss would be {told} here in {name}"
    return ""


def plan_together(recipe: Recipe, prepared: Prepared, session: Session) -> tuple[Recipe, Plan | None]:
    """(the recipe that fits, the first process's plan; None to the others); raises as `plan` does.

    Processes see different amounts of free memory, and must train one recipe: the first one decides.
    """
    recipe = _settled(recipe, prepared, session)
    planned = plan(recipe, prepared, session) if session.processes.rank == 0 else None
    versions = enumerate(_versions(recipe, prepared, session))
    place = 0 if planned is None else next(place for place, version in versions if version == planned.recipe)
    decided = int(session.processes.sum(torch.tensor([place])))
    return next(islice(_versions(recipe, prepared, session), decided, None)), planned


def fit_into(recipe: Recipe, prepared: Prepared, session: Session) -> tuple[Recipe, dict[str, int], int | None]:
    """(the recipe with the largest blocks that fit, bytes it allocates, bytes there are); raises as `plan` does."""
    device, processes, room = session.device, session.processes, available(session.device)
    sharing = processes.size if device.type == "cpu" else 1  # each holds everything, on one machine

    def allocated(changed: Recipe) -> dict[str, int]:
        work = Work.of(changed.sequence, prepared, device, session.seed)
        sizes = len(prepared.log.items), device, processes.size, len(prepared.log.users), room
        return needed(changed.sequence, work, *sizes)

    def fits(changed: Recipe) -> bool:
        return room is None or sharing * sum(allocated(changed).values()) <= room

    for version in _versions(recipe, prepared, session):
        if fits(version):
            return version, allocated(version), room
    remedies = [text for text in _remedies(recipe, fits, processes.size) if text]
    need = sharing * sum(allocated(recipe).values())
    raise ConfigurationError(
        f"training {recipe.name} on {recipe.data} needs about {amount(need)} more memory on {device}, and "
        f"{amount(room or 0)} are available; "
        + (f"it would fit with {', or with '.join(remedies)}" if remedies else "no smaller step or table would fit")
    )


def _versions(recipe: Recipe, prepared: Prepared, session: Session) -> Iterator[Recipe]:
    """The recipe, then with ever smaller versions of its loss, by which the same is learnt but for rounding."""
    yield recipe
    parts = recipe.sequence
    work = Work.of(parts, prepared, session.device, session.seed)
    for loss in parts.loss.smaller(shapes_of(parts, work, len(prepared.log.items))):
        yield recipe.model_copy(update={"model": parts.model_copy(update={"loss": loss})})


def _remedies(recipe: Recipe, fits: Callable[[Recipe], bool], processes: int) -> list[str]:
    """Changes of one kind each that would make it fit, each as small as it can be by halving."""
    remedies = []
    for step in [*_shared_out(recipe.sequence, processes), *_ladders(recipe.sequence)]:
        for overrides in step:
            try:
                smaller = changed(recipe, *overrides)
            except ConfigurationError:  # such as a width that the heads do not divide
                continue
            if fits(smaller):
                remedies.append(" ".join(overrides))
                break
    return remedies


def _shared_out(recipe: SequenceRecipe, processes: int) -> list[list[list[str]]]:
    """The item table in as many parts as there are processes, by which the same is learnt, where it can be."""
    can = processes > 1 and recipe.items.can_shard and recipe.training.item_rows != "sharded"
    return [[["training.item_rows=sharded"]]] if can else []


def _ladders(recipe: SequenceRecipe) -> list[list[list[str]]]:
    """Ways to need less, each from the smallest change to the largest."""
    touched = "training.item_rows=touched"
    size = recipe.training.batch_size
    ways = [[[f"training.batch_size={size >> halvings}"] for halvings in range(1, 20) if size >> halvings]]
    if recipe.training.batch_growth is not None:
        most = recipe.training.most_batch_size or size << 10
        ways.insert(0, [[f"training.most_batch_size={most >> n}"] for n in range(1, 20) if most >> n >= size])
    ways += [[way, [*way, touched]] for way in recipe.loss.remedies()]
    if recipe.negatives is not None:
        ways.append([[touched]])
        for way in _typed("negatives", recipe.negatives.remedies()):
            # A change that cannot be halved is also tried together with touched rows.
            ways.append([*way, [*way[0], touched]] if len(way) == 1 else way)
    ways += _typed("encoder", recipe.encoder.remedies())
    return ways


def _typed(shelf: str, ways: list[list[dict[str, object]]]) -> list[list[list[str]]]:
    """Changes of a part's settings as overrides."""
    return [[[f"{shelf}.{key}={value}" for key, value in step.items()] for step in way] for way in ways]


def changed(recipe: Recipe, *overrides: str) -> Recipe:
    """The recipe with overrides as they are typed."""
    return resolve(Recipe, [("recipe", recipe.model_dump(mode="json"))], overrides).value
