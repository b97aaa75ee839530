"""One step of training, which `fit_model` takes and a plan takes the time of: listening to it changes nothing."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nextitem.compute.processes import ALONE, AsOneOf, Processes
from nextitem.data.sequences import Sequences
from nextitem.model.encoders import SASRec
from nextitem.model.losses import BinaryCrossEntropy, CrossEntropy
from nextitem.model.model import SequenceModel
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextItem
from nextitem.training.fit import descent
from nextitem.training.session import Session
from nextitem.training.step import Part, Step
from nextitem.training.training import Training
from worlds.shelves import build_model
from worlds.small_runs import sha256

TRAIN = Sequences.of([[0, 1, 2, 3], [4, 5], [5, 4, 3, 2, 1]], 6)
ROWS = torch.arange(3)


@dataclass(frozen=True)
class Having(AsOneOf):
    """One of two processes, with these rows of a step."""

    rows: slice = field(default_factory=lambda: slice(0, 0))

    def share(self, count: int) -> slice:
        return self.rows


def a_step(
    *,
    item_rows: Any = "all",
    loss: Any = CrossEntropy(),  # noqa: B008
    negatives: Any = None,
    processes: Processes = ALONE,
) -> Step:
    model = build_model(SASRec(dim=8, positions=8, dropout=0.3), NextItem(maximum_length=8), 6).train()
    training = Training(item_rows=item_rows, learning_rate=0.1)
    sampler = None if negatives is None else negatives.build(TRAIN)
    chosen = descent(model, training)
    return Step(model, model.windows(TRAIN), loss.build(), sampler, chosen, Session(0, processes))


SAMPLED = {"loss": BinaryCrossEntropy(), "negatives": Uniform(count=2)}


class Written:
    """Writes down the laps, and at the gradient of the states which weights have one of their own."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.laps = model, list[tuple[Part, bool]]()

    def lap(self, part: Part) -> None:
        encoder = self.model.encoder.parameters()  # type: ignore[union-attr]
        self.laps.append((part, any(weight.grad is not None for weight in encoder)))

    def lap_at_gradient(self, part: Part, tensor: Tensor) -> None:
        tensor.register_hook(lambda _gradient: self.lap(part))


@pytest.mark.parametrize("settings", [{}, SAMPLED, {**SAMPLED, "item_rows": "touched"}], ids=["all", "sampled", "few"])
def test_a_step_that_is_listened_to_moves_the_weights_to_the_same_bits(settings: Any) -> None:
    quiet, heard = a_step(**settings), a_step(**settings)
    losses = [step.take(ROWS, 1, 0, 1.0, *laps) for step, laps in ((quiet, ()), (heard, (Written(heard.model),)))]  # type: ignore[arg-type]
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] == losses[1][1] == 3 + 1 + 4
    assert sha256(quiet.model.state_dict()) == sha256(heard.model.state_dict())


def test_the_parts_of_a_step_are_told_in_their_order() -> None:
    step = a_step(**SAMPLED)
    written = Written(step.model)  # type: ignore[arg-type]
    step.take(ROWS, 1, 0, 1.0, written)
    assert written.laps == [
        ("encoder", False),  # the batch
        ("negatives", False),
        ("optimiser", False),  # the rows of the table that a step touches
        ("encoder", False),
        ("loss", False),
        ("optimiser", False),  # gradients of the step before
        ("loss", False),  # backwards, when no weight of the encoder has its gradient yet
        ("encoder", True),
        ("optimiser", True),
    ]


def test_a_step_without_a_target_does_nothing() -> None:
    objective = MaskedItem(maximum_length=8, mask_probability=1e-9)
    model: SequenceModel = build_model(SASRec(dim=8, positions=8), objective, 6).train()
    before = sha256(model.state_dict())
    step = Step(model, model.windows(TRAIN), CrossEntropy().build(), None, descent(model, Training()), Session(0))
    taken = step.take(ROWS, 1, 0, 1.0)
    assert (float(taken.summed), taken.positions, taken.idle) == (0.0, 0, 0)
    assert sha256(model.state_dict()) == before


def test_a_share_of_the_rows_is_learnt_for_its_part_of_the_whole_step() -> None:
    """Two processes with two rows and one: their losses add up to that of all, and both know its targets."""
    whole = replace(a_step(), model=a_step().model.eval())
    parts = [
        replace(a_step(processes=Having(2, torch.device("cpu"), rows)), model=a_step().model.eval())
        for rows in (slice(0, 2), slice(2, 3))
    ]
    everything, *others = (step.take(ROWS, 1, 0, 0.0) for step in (whole, *parts))
    assert sum(float(part.summed) for part in others) == pytest.approx(float(everything.summed), rel=1e-12)
    assert [part.positions for part in others] == [everything.positions] * 2


def test_an_empty_share_takes_the_step_with_nothing_to_add() -> None:
    step = a_step(processes=Having(2, torch.device("cpu")))
    before = sha256(step.model.state_dict())
    taken = step.take(ROWS, 1, 0, 1.0)
    assert (float(taken.summed), taken.positions) == (0.0, 3 + 1 + 4)
    assert sha256(step.model.state_dict()) == before


@pytest.mark.parametrize("item_rows", ["all", "touched"])
def test_positions_for_which_no_negative_is_left_are_counted(item_rows: str) -> None:
    """Of the six items one user has all but 4 and 5, and the last all but 0; the second has seen two, with one left."""
    train = Sequences.of([[0, 1, 2, 3], [4, 5, 0, 1, 2, 3], [5, 4, 3, 2, 1]], 6)
    step = a_step(loss=BinaryCrossEntropy(), negatives=Uniform(count=1, exclude="history"), item_rows=item_rows)
    sampler = Uniform(count=1, exclude="history").build(train)
    step = replace(step, windows=step.model.windows(train), negatives=sampler)
    taken = step.take(ROWS, 1, 0, 1.0)
    assert (taken.positions, int(taken.idle)) == (3 + 5 + 4, 5)
