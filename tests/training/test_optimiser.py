"""The steps of the optimiser: their size, direction and decay."""

import pytest
import torch
from torch import Tensor, nn

from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch
from nextitem.model.encoders import BERT4Rec
from nextitem.model.losses import CrossEntropy
from nextitem.model.objectives import MaskedItem
from nextitem.training.fit import fit_model
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.shelves import build_model
from worlds.slopes import FOUR, LAST, Recorder, Slope, fit_slope
from worlds.small_runs import ITEMS


@pytest.mark.parametrize(
    ("clip", "gradient"), [(None, [3.0, 4.0]), (10.0, [3.0, 4.0]), (1.0, [3 / 5, 4 / 5]), (0.5, [3 / 10, 4 / 10])]
)
def test_the_whole_gradient_is_scaled_down_to_the_clip(clip: float | None, gradient: list[float]) -> None:
    model = Slope()
    fit_slope(model, Training(epochs=1, patience=None, gradient_clip=clip))
    assert model.point_2.grad is not None
    assert model.point_2.grad.tolist() == pytest.approx(gradient, rel=1e-5)


@pytest.mark.parametrize("targets", [2, 3])
def test_the_gradient_is_that_of_the_mean_over_positions(targets: int) -> None:
    model = Slope()
    windows = Sequences.of([list(range(targets + 1))], ITEMS)
    fit_model(model, windows, CrossEntropy().build(), Training(epochs=1, patience=None), Session(0), None)
    assert model.point_2.grad is not None
    assert model.point_2.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("schedule", "warmup", "factors"),
    [
        ("constant", 0, [1, 1, 1, 1]),
        ("constant", 2, [1 / 3, 2 / 3, 1, 1]),
        ("linear", 0, [4 / 4, 3 / 4, 2 / 4, 1 / 4]),
        ("cosine", 0, [1, (1 + 0.5**0.5) / 2, 1 / 2, (1 - 0.5**0.5) / 2]),
        ("cosine", 1, [1 / 2, (1 + 0.5**0.5) / 2, 1 / 2, (1 - 0.5**0.5) / 2]),
        ("linear", 2, [1 / 3 * 4 / 4, 2 / 3 * 3 / 4, 2 / 4, 1 / 4]),
        ("constant", 7, [1 / 8, 2 / 8, 3 / 8, 4 / 8]),  # training ends before the warm-up does
    ],
)
def test_the_step_size_follows_warm_up_and_schedule(schedule: str, warmup: int, factors: list[float]) -> None:
    training = LAST.model_copy(update={"learning_rate": 0.3, "schedule": schedule, "warmup_steps": warmup})
    places = fit_slope(Slope(), training).places  # after each of 2 epochs · 2 steps
    taken = torch.stack([torch.zeros(2, dtype=torch.float64), *places]).diff(dim=0)
    for step, factor in zip(taken.tolist(), factors, strict=True):
        assert step == pytest.approx([-0.3 * factor, -0.3 * factor], rel=1e-6)


@pytest.mark.parametrize(
    ("schedule", "steps", "factors"),
    [
        ("constant", 3, [1, 1, 1]),  # the second epoch ends in its middle
        ("linear", 3, [3 / 3, 2 / 3, 1 / 3]),
        ("cosine", 3, [1, 3 / 4, 1 / 4]),
        ("linear", 1, [1]),
        ("linear", 9, [4 / 4, 3 / 4, 2 / 4, 1 / 4]),  # epochs end first
    ],
)
def test_training_ends_with_its_last_step(schedule: str, steps: int, factors: list[float]) -> None:
    training = LAST.model_copy(update={"learning_rate": 0.3, "schedule": schedule, "steps": steps})
    places = fit_slope(Slope(), training).places  # an epoch has 2 steps
    taken = torch.stack([torch.zeros(2, dtype=torch.float64), *places]).diff(dim=0)
    assert taken[:, 0].tolist() == pytest.approx([-0.3 * factor for factor in factors], rel=1e-6)


def test_a_schedule_goes_over_the_steps_of_a_growing_batch() -> None:
    """Epochs of 4 windows in batches of 1, 2 and 4: 4 + 2 + 1 steps."""
    growing = {"epochs": 3, "batch_size": 1, "batch_growth": 1, "learning_rate": 0.3, "schedule": "linear"}
    recorder = fit_slope(Slope(), LAST.model_copy(update=growing))
    taken = torch.stack([torch.zeros(2, dtype=torch.float64), *recorder.places]).diff(dim=0)
    assert taken[:, 0].tolist() == pytest.approx([-0.3 * (1 - step / 7) for step in range(7)], rel=1e-6)
    steps = [event for event in recorder.events if isinstance(event, tuple)]
    assert steps == [*((1, step, 4) for step in (1, 2, 3, 4)), (2, 1, 2), (2, 2, 2), (3, 1, 1)]


def test_adam_forgets_its_second_moment_by_beta2() -> None:
    """Gradients 3 then 6 (Slope's first coordinate): moments by hand, bias corrected."""
    model = Slope()
    training = Training(epochs=1, batch_size=2, patience=None, learning_rate=1.0, beta2=0.5)

    class Steepening(Recorder):
        def step(self, epoch: int, step: int, steps: int) -> None:
            super().step(epoch, step, steps)
            model.scale = 2.0

    recorder = Steepening(model)
    fit_model(model, FOUR, CrossEntropy().build(), training, Session(0, watcher=recorder), None)
    first = (0.9 * 0.1 * 3 + 0.1 * 6) / (1 - 0.9**2)
    second = (0.5 * 0.5 * 3**2 + 0.5 * 6**2) / (1 - 0.5**2)
    assert float(recorder.places[1][0] - recorder.places[0][0]) == pytest.approx(-first / second**0.5)


class Flat(Slope):
    """A loss without any slope: only weight decay moves the weights."""

    def __init__(self) -> None:
        super().__init__(scale=0.0)
        self.matrix_22 = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
        with torch.no_grad():
            self.point_2.fill_(1.0)

    def states(self, batch: Batch) -> Tensor:
        return super().states(batch) + 0 * self.matrix_22.sum()


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_weight_decay_shrinks_matrices_and_no_vectors(decay: float) -> None:
    model = Flat()
    fit_slope(model, LAST.model_copy(update={"learning_rate": 0.1, "weight_decay": decay}))
    shrunk = (1 - 0.1 * decay) ** 4  # 2 epochs · 2 steps
    assert model.matrix_22.tolist() == pytest.approx([pytest.approx([shrunk, shrunk])] * 2)
    assert model.point_2.tolist() == [1, 1]


def test_weight_decay_tells_the_matrices_of_a_model_from_its_vectors() -> None:
    model = build_model(BERT4Rec(dim=8, positions=8), MaskedItem(), ITEMS)
    matrices = {name for name, weight in model.named_parameters() if weight.ndim > 1}
    assert "items.weight_Nd" in matrices
    assert not matrices & {"items.mask_d", "encoder.embedding_norm.weight", "encoder.embedding_norm.bias"}
