"""Seconds of an epoch by part, from about one second of a training's own steps.

The steps are real ones, on weights of their own that are thrown away; their draws are those of epoch 0, which no
training uses. They grow from one window to the whole batch; a batch that three seconds after the first step do not
reach is extrapolated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.compute.processes import ALONE
from nextitem.compute.randomness import Purpose, generator, seeded_globally
from nextitem.data.prepare import Prepared
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.plan.memory import Work
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.batches import Batch, Drawn, cut
from nextitem.model.model import SequenceModel
from nextitem.training.fit import descent
from nextitem.training.optimisation import Touched
from nextitem.training.session import Session
from nextitem.training.validation import outside_sampler, validation_cases, validation_loss

PARTS = ("encoder", "loss", "optimiser", "negatives")
_SECONDS = 0.8  # of steps; weights and validation come on top
# What may be waited for to reach the whole batch: small steps on a busy machine say little about large ones.
_MOST_SECONDS = 3.0
_MOST_STEPS = 8
_CASES = 128


@dataclass(frozen=True)
class _Step:
    """One step as it was measured."""

    windows: int
    positions: int
    seconds: dict[str, float]


class Calibration:
    """A training's steps and validation, measured on the session's device by the calling process."""

    def __init__(
        self, recipe: SequenceRecipe, prepared: Prepared, session: Session, clock: Callable[[], float]
    ) -> None:
        self.recipe, self.session, self.clock = recipe, session, clock
        seed, device = session.seed, session.device
        self.model = recipe.build(len(prepared.log.items), seed, len(prepared.log.users)).to(device)
        self.loss, self.descent = recipe.loss.build(), descent(self.model, recipe.training)
        train = prepared.split.train.without_times().to(device)
        self.negatives = self.outside = None
        if recipe.negatives is not None:
            self.negatives = recipe.negatives.build(train)
            self.outside = outside_sampler(recipe.negatives, train, self.negatives)
        self.windows = self.model.windows(prepared.split.train).to(device)
        self.cases = validation_cases(prepared.split.validation, recipe.training.validation_users, seed)

    def seconds(self, work: Work) -> dict[str, float]:
        """Of an epoch of `work`, by part; other processes are taken to be as fast, and to talk for nothing."""
        steps = self._steps() if work.steps else []
        return {part: _of_epoch(steps, part, work) for part in PARTS} | {"validation": self._validation()}

    def _steps(self) -> list[_Step]:
        """Steps of 1, 4, 16, … windows and, as long as time is left, of the whole batch."""
        self.model.train()
        order = torch.randperm(len(self.windows), generator=generator(self.session.seed, Purpose.ORDER, 0))
        most, spent, steps = min(self.recipe.training.batch_size, len(order)), 0.0, list[_Step]()
        count = min(most, self.session.processes.size)  # a row for this process, which may be one of several
        while len(steps) < _MOST_STEPS:
            place = len(steps) * most % max(1, len(order) - most + 1)
            step = self._step(order[place : place + count].to(self.session.device), len(steps))
            taken = sum(step.seconds.values())
            if not step.positions:
                break
            steps.append(step)
            following = min(most, 4 * count)
            # The first step of all pays for every table's memory, and says nothing about larger ones.
            if count == most or len(steps) > 1:
                spent += taken
                is_too_long = taken * following / count > _MOST_SECONDS
                if spent > (_SECONDS if count == most else _MOST_SECONDS) or is_too_long:
                    break
            count = following
        return steps

    def _step(self, rows: Tensor, number: int) -> _Step:
        """What `fit` does in a step, with the backward pass of the loss apart from that of the encoder."""
        since = _Stopwatch(self._now)
        draws = generator(self.session.seed, Purpose.MASKS_AND_NEGATIVES, 0, number)
        batch = self.model.batch(self.windows.select(rows), draws)
        positions, seconds = len(batch.targets_T), {"encoder": since.last()}
        own = self.session.processes.share(len(batch.lengths_B))
        if transfer.is_elsewhere(rows.device):  # as in `fit`
            draws = generator(self.session.seed, Purpose.MASKS_AND_NEGATIVES, 0, number, device=rows.device)
        if not positions or own.start == own.stop:
            return _Step(len(rows), 0, seconds)
        drawn = None if self.negatives is None else self.negatives.sample(batch, draws)
        seconds["negatives"] = since.last()
        acting, batch, drawn, touched = self._acting(batch, drawn)
        part, drawn = cut(batch, drawn, own)
        self.descent.optimiser.zero_grad(set_to_none=True)
        seconds["optimiser"] = since.last()
        with seeded_globally(self.session.seed, Purpose.DROPOUT, 0, number):
            states = acting.states(part)
        seconds["encoder"] += since.last()
        leaf = states.detach().requires_grad_()
        (acting.loss_of_states(leaf, part, self.loss, drawn) / positions).backward()
        seconds["loss"] = since.last()
        states.backward(leaf.grad)
        seconds["encoder"] += since.last()
        self.descent.move(1.0, ALONE, touched)
        seconds["optimiser"] += since.last()
        return _Step(len(rows), positions, seconds)

    def _acting(self, batch: Batch, drawn: Drawn | None) -> tuple[SequenceModel, Batch, Drawn | None, Touched | None]:
        """The model that takes the step, on all rows of the item table or on those it touches."""
        if self.recipe.training.item_rows == "all":
            return self.model, batch, drawn, None
        acting, batch, drawn, ids_R = self.model.narrowed(batch, drawn)
        return acting, batch, drawn, self.descent.touch(ids_R, acting.items.weight_Nd)

    def _validation(self) -> float:
        """Seconds of all validation cases, from some whose targets are neighbours, as those of a block are."""
        order = self.cases.targets_C.argsort(stable=True)
        start = max(0, (len(order) - _CASES) // 2)
        some = self.cases.select(order[start : start + _CASES])
        if not len(some):
            return 0.0
        since = _Stopwatch(self._now)
        evaluate(self.model, some, intervals=False)
        alone, size = Session(self.session.seed), self.recipe.training.batch_size
        validation_loss(self.model, self.loss, self.outside, some, size, alone)
        return since.last() * len(self.cases) / len(some) / self.session.processes.size

    def _now(self) -> float:
        if self.session.device.type == "cuda":
            torch.cuda.synchronize(self.session.device)
        return self.clock()


class _Stopwatch:
    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.mark = now, now()

    def last(self) -> float:
        """Seconds since this was asked last."""
        before, self.mark = self.mark, self.now()
        return self.mark - before


def _of_epoch(steps: list[_Step], part: str, work: Work) -> float:
    """Seconds of a part that grows with the positions, on the line through the two largest kinds of steps."""
    if not steps:
        return 0.0
    sizes = sorted({step.windows for step in steps})[-2:]
    kinds = [[step for step in steps if step.windows == size] for size in sizes]
    # The first step of a size pays for its fresh memory, which is there for the others.
    kinds = [kind[1:] if len(kind) > 1 else kind for kind in kinds]
    points = [(_mean([s.positions for s in kind]), _mean([s.seconds[part] for s in kind])) for kind in kinds]
    (less, shorter), (more, longer) = points[0], points[-1]
    mean = work.positions / work.steps
    slope = max(0.0, (longer - shorter) / (more - less)) if more > less else longer / more
    return work.steps * max(0.0, longer + slope * (mean - more))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
