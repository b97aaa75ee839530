"""Seconds of an epoch by part, from about one second of a training's own steps.

The steps are real ones, on weights of their own that are thrown away; their draws are those of epoch 0, which no
training uses. They grow from one window to the whole batch; a batch that three seconds after the first step do not
reach is extrapolated. Vectors of more than 512 numbers are timed at a narrower width, and each part is in proportion to
its operations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor

from nextitem.compute.processes import AsOneOf
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.prepare import Prepared
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.plan.memory import Work
from nextitem.experiment.plan.widths import growth, narrower
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.training.fit import descent
from nextitem.training.session import Session
from nextitem.training.step import Part, Step

PARTS: tuple[Part, ...] = get_args(Part)
_SECONDS = 0.8  # of steps; weights and validation come on top
# What may be waited for to reach the whole batch: small steps on a busy machine say little about large ones.
_MOST_SECONDS = 3.0
_MOST_STEPS = 8
_CASES = 128


@dataclass(frozen=True)
class _Measured:
    """One step as it was measured."""

    windows: int
    positions: int
    seconds: dict[Part, float]


class StepTimes:
    """A training's steps and validation, measured on the session's device by the calling process."""

    def __init__(
        self, recipe: SequenceRecipe, prepared: Prepared, session: Session, clock: Callable[[], float]
    ) -> None:
        self.recipe, self.session, self.clock = narrower(recipe), session, clock
        self.growth = growth(recipe, self.recipe, len(prepared.log.items), len(prepared.log.users))
        # The step is that of one process among several, which the others do not take.
        alone = Session(session.seed, AsOneOf(session.processes.size, session.device))
        built = self.recipe.assembled(prepared, session)
        self.built = built = replace(built, model=self.recipe.shared_out(built.model, alone))
        if built.model.shard is not None:  # each scores the positions of all
            self.growth["loss"] *= session.processes.size
        windows = built.model.windows(prepared.split.train).to(session.device)
        optimiser = descent(built.model, self.recipe.training)
        self.step = Step(built.model, windows, built.loss, built.negatives, optimiser, alone)

    def seconds(self, work: Work) -> dict[str, float]:
        """Of an epoch of `work`, by part; other processes are taken to be as fast, and to talk for nothing."""
        steps = self._steps() if work.steps else []
        measured = {part: _of_epoch(steps, part, work) for part in PARTS} | {"validation": self._validation()}
        return {part: seconds * self.growth[part] for part, seconds in measured.items()}

    @property
    def width(self) -> int:
        """Numbers of a vector, as it was timed."""
        return self.recipe.encoder.dim

    def _steps(self) -> list[_Measured]:
        """Steps of 1, 4, 16, … windows and, as long as time is left, of the whole batch."""
        self.built.model.train()
        order = torch.randperm(len(self.step.windows), generator=generator(self.session.seed, Purpose.ORDER, 0))
        most, spent, steps = min(self.recipe.training.largest_batch(len(order)), len(order)), 0.0, list[_Measured]()
        count = min(most, self.session.processes.size)  # a row for this process, which may be one of several
        while len(steps) < _MOST_STEPS:
            place = len(steps) * most % max(1, len(order) - most + 1)
            watch = _Stopwatch(self._now)
            positions = self.step.take(order[place : place + count], 0, len(steps), 1.0, watch).positions
            if "loss" not in watch.seconds:  # no target was there, or none for this process
                break
            steps.append(_Measured(count, positions, watch.seconds))
            taken = sum(watch.seconds.values())
            following = min(most, 4 * count)
            # The first step of all pays for every table's memory, and says nothing about larger ones.
            if count == most or len(steps) > 1:
                spent += taken
                is_too_long = taken * following / count > _MOST_SECONDS
                if spent > (_SECONDS if count == most else _MOST_SECONDS) or is_too_long:
                    break
            count = following
        return steps

    def _validation(self) -> float:
        """Seconds of all validation cases, from some whose targets are neighbours, as those of a block are."""
        order = self.built.cases.targets_C.argsort(stable=True)
        start = max(0, (len(order) - _CASES) // 2)
        some = self.built.cases.select(order[start : start + _CASES])
        if not len(some):
            return 0.0
        since = _Stopwatch(self._now)
        evaluate(self.built.model.whole(), some, intervals=False)
        self.built.validation_loss(some, self.step.session)
        return since.last() * len(self.built.cases) / len(some) / self.session.processes.size

    def _now(self) -> float:
        if self.session.device.type == "cuda":
            torch.cuda.synchronize(self.session.device)
        return self.clock()


class _Stopwatch:
    """Seconds of a step by part, as `Laps`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.mark = now, now()
        self.seconds: dict[Part, float] = {}

    def lap(self, part: Part) -> None:
        """Count the seconds since the last lap to this part."""
        self.seconds[part] = self.seconds.get(part, 0.0) + self.last()

    def lap_at_gradient(self, part: Part, tensor: Tensor) -> None:
        """A lap in the middle of the backward pass."""
        tensor.register_hook(lambda _gradient: self.lap(part))

    def last(self) -> float:
        """Seconds since this was asked last."""
        before, self.mark = self.mark, self.now()
        return self.mark - before


def _of_epoch(steps: list[_Measured], part: Part, work: Work) -> float:
    """Seconds of a part that grows with the positions, on the line through the two largest kinds of steps."""
    if not steps:
        return 0.0
    sizes = sorted({step.windows for step in steps})[-2:]
    kinds = [[step for step in steps if step.windows == size] for size in sizes]
    # The first step of a size pays for its fresh memory, which is there for the others.
    kinds = [kind[1:] if len(kind) > 1 else kind for kind in kinds]
    points = [(_mean([s.positions for s in kind]), _mean([s.seconds.get(part, 0.0) for s in kind])) for kind in kinds]
    (less, shorter), (more, longer) = points[0], points[-1]
    mean = work.positions / work.steps
    slope = max(0.0, (longer - shorter) / (more - less)) if more > less else longer / more
    return work.steps * max(0.0, longer + slope * (mean - more))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
