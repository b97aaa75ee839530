"""One step of training: what `fit_model` does over and over, and what a plan takes the time of. T target positions."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.compute.randomness import Purpose, generator, seeded_globally
from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn, cut
from nextitem.model.losses.loss import Loss
from nextitem.model.negatives.negatives import Sampler
from nextitem.training.optimisation import Descent, Fetched
from nextitem.training.row_adam import Touched
from nextitem.training.session import Session
from nextitem.training.trainable import Acting, Trainable

Part = Literal["encoder", "loss", "optimiser", "negatives"]


class Laps(Protocol):
    """Is told which part of a step was done since it was told last."""

    def lap(self, part: Part) -> None:
        """What was done belongs to this part."""

    def lap_at_gradient(self, part: Part, tensor: Tensor) -> None:
        """What will have been done when the gradient of `tensor` is complete belongs to this part."""


class Untimed:
    """Listens to nothing."""

    def lap(self, part: Part) -> None:
        """Nothing."""

    def lap_at_gradient(self, part: Part, tensor: Tensor) -> None:
        """Nothing."""


UNTIMED = Untimed()


class Taken(NamedTuple):
    """What a step came to."""

    summed: Tensor
    """Loss of this process's own rows, a scalar."""
    positions: int
    """T of the whole step; where it is 0 nothing was done."""
    idle: Tensor | int
    """How many of them could teach nothing: no negative was left for them, or they weigh 0."""


@dataclass(frozen=True)
class Step:
    """Everything that the steps of a training have in common."""

    model: Trainable
    windows: Sequences
    """All windows, on the model's device."""
    loss: Loss
    negatives: Sampler | None
    descent: Descent
    session: Session

    def take(self, rows: Tensor, epoch: int, number: int, factor: float, laps: Laps = UNTIMED) -> Taken:
        """Go down once, on these windows.

        Draws are those of the key (seed, purpose, epoch, number); `factor` is of the learning rate.
        """
        batch, drawn = self._drawn(rows, epoch, number, laps)
        if (lessons := self.session.lessons) is not None:
            batch = replace(batch, taught=lessons.taught(rows, batch.targets_T.device))
        positions, processes = len(batch.targets_T), self.session.processes
        nothing = torch.zeros((), dtype=torch.float64, device=batch.targets_T.device)
        if not positions:
            return Taken(nothing, 0, 0)
        idle = _idle(batch, drawn)
        acting, batch, drawn, touched = self._acting(batch, drawn)
        part, drawn = cut(batch, drawn, processes.share(len(batch.lengths_B)))
        laps.lap("optimiser")
        with seeded_globally(self.session.seed, Purpose.DROPOUT, epoch, number, *processes.stream):
            # Of a table that is shared out the loss is asked for together, also by who has no position.
            is_asked = len(part.targets_T) > 0 or self.model.shard is not None
            summed = self._summed(acting, part, drawn, laps) if is_asked else nothing.clone().requires_grad_()
        self.descent.clear()
        laps.lap("optimiser")
        (summed / positions).backward()
        laps.lap("encoder")
        self.descent.move(factor, processes, touched)
        laps.lap("optimiser")
        return Taken(summed.detach(), positions, idle)

    def _drawn(self, rows: Tensor, epoch: int, number: int, laps: Laps) -> tuple[Batch, Drawn | None]:
        """The batch of these windows, and its negatives where there is a target."""
        key, device = (Purpose.MASKS_AND_NEGATIVES, epoch, number), self.windows.starts_U.device
        draws = generator(self.session.seed, *key)
        batch = self.model.batch(self.windows.select(rows), draws)
        laps.lap("encoder")
        if self.negatives is None or not len(batch.targets_T):
            return batch, None
        if transfer.is_asynchronous(device):  # masks are drawn on the CPU, since they decide shapes; negatives are not
            draws = generator(self.session.seed, *key, device=device)
        drawn = self.negatives.sample(batch, draws)
        laps.lap("negatives")
        return batch, drawn

    def _acting(
        self, batch: Batch, drawn: Drawn | None
    ) -> tuple[Acting, Batch, Drawn | None, Touched | Fetched | None]:
        """The model that takes the step, on all rows of the item table or on those that the step reads."""
        if not self.descent.narrows:
            return cast(Acting, self.model), batch, drawn, None
        acting, batch, drawn, ids_R = self.model.narrowed(batch, drawn)
        return acting, batch, drawn, self.descent.touch(ids_R, acting.items.weight_Nd)

    def _summed(self, acting: Acting, part: Batch, drawn: Drawn | None, laps: Laps) -> Tensor:
        """The summed loss of a batch, a scalar."""
        acting = acting.made()
        states_Te = acting.states(part)
        laps.lap("encoder")
        # Of the backward pass the loss comes first, and then the encoder, which begins with this gradient.
        laps.lap_at_gradient("loss", states_Te)
        summed = acting.loss_of_states(states_Te, part, self.loss, drawn)
        laps.lap("loss")
        return summed


def _idle(batch: Batch, drawn: Drawn | None) -> Tensor | int:
    """How many positions could teach nothing, without waiting for a device."""
    is_idle_T = torch.zeros_like(batch.targets_T, dtype=torch.bool)
    if drawn is not None:
        is_idle_T |= drawn.is_empty(batch.targets_T)
    if batch.weights_T is not None:
        is_idle_T |= batch.weights_T == 0
    return 0 if drawn is None and batch.weights_T is None else is_idle_T.sum()
