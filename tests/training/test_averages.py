"""Moving averages of the weights: what they are, and where they stand in for the weights."""

from pathlib import Path

import pytest
import torch
from torch import nn

from nextitem.model.losses import CrossEntropy
from nextitem.training.averages import Averages
from nextitem.training.fit import fit_model
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.killed import SOFTMAX, TRAINING, KilledError, Killer, train
from worlds.slopes import FOUR, LAST, Recorder, Scripted, Slope, fit_slope
from worlds.small_runs import sha256

HALF = LAST.model_copy(update={"learning_rate": 0.3, "ema": 0.5, "schedule": "linear"})


def averaged(places: list[torch.Tensor], decay: float) -> list[float]:
    """(1 − β) Σᵢ βᵗ⁻ⁱ wᵢ / (1 − βᵗ), term by term."""
    ages = range(len(places) - 1, -1, -1)
    total = sum((1 - decay) * decay**age * place for age, place in zip(ages, places, strict=True))
    return (torch.as_tensor(total) / (1 - decay ** len(places))).tolist()


def test_the_last_weights_are_the_average_over_all_steps() -> None:
    model = Slope()
    places = fit_slope(model, HALF).places  # 2 epochs · 2 steps
    assert model.point_2.tolist() == pytest.approx(averaged(places, 0.5))


def test_steps_are_those_of_a_training_without_averages() -> None:
    with_averages, without = fit_slope(Slope(), HALF), fit_slope(Slope(), HALF.model_copy(update={"ema": None}))
    assert all(map(torch.equal, with_averages.places, without.places))


def test_after_the_first_step_the_average_is_what_that_made_of_the_weights() -> None:
    weight = nn.Parameter(torch.full((2,), 100.0))
    averages = Averages([weight], 0.999)
    with torch.no_grad():
        weight.copy_(torch.tensor([1.0, 2.0]))
    averages.follow()
    with averages.in_place():
        assert weight.tolist() == [1.0, 2.0]  # nothing of 100


def test_validated_and_kept_are_the_averages_and_the_next_step_goes_on_from_the_weights() -> None:
    model = Slope()
    recorder, script = Recorder(model), Scripted(model, [0.2, 0.3, 0.1])
    training = HALF.model_copy(update={"epochs": 3, "patience": 1})
    fit_model(model, FOUR, CrossEntropy().build(), training, Session(0, watcher=recorder), script)
    assert len(recorder.places) == 6
    for epoch, weights in enumerate(script.weights, 1):
        assert weights["point_2"].tolist() == pytest.approx(averaged(recorder.places[: 2 * epoch], 0.5))
    assert torch.equal(model.point_2, script.weights[1]["point_2"])  # of the second epoch, the best


@pytest.mark.parametrize("patience", [3, None])
def test_a_resumed_training_ends_with_the_same_averages(patience: int | None, tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"ema": 0.9, "patience": patience})
    expected, _ = train(SOFTMAX, tmp_path / "whole", training=training)
    for killer in (Killer(1), Killer(3, 2)):
        with pytest.raises(KilledError):
            train(SOFTMAX, tmp_path / "parts", killer, training=training)
    model, _ = train(SOFTMAX, tmp_path / "parts", training=training)
    assert sha256(model.state_dict()) == sha256(expected.state_dict())
    finished, _ = train(SOFTMAX, tmp_path / "parts", training=training)  # there is nothing left to do
    assert sha256(finished.state_dict()) == sha256(expected.state_dict())
    plain, _ = train(SOFTMAX, tmp_path / "plain", training=training.model_copy(update={"ema": None}))
    assert sha256(plain.state_dict()) != sha256(expected.state_dict())


@pytest.mark.parametrize(
    ("name", "tensor", "fact"),
    [
        ("0", torch.zeros(3), r"0 is \(3\) of float32 and should be \(2\)"),
        ("0", torch.full((2,), float("nan")), "hold what can be none"),
        ("steps", torch.tensor(-1), "hold what can be none"),
        ("steps", None, "steps is missing"),
    ],
)
def test_averages_of_other_weights_are_refused(name: str, tensor: torch.Tensor | None, fact: str) -> None:
    averages = Averages([nn.Parameter(torch.zeros(2))], 0.9)
    tensors = averages.tensors() | {name: tensor}
    with pytest.raises(ValueError, match=fact):
        averages.check({key: value for key, value in tensors.items() if value is not None})


def test_rows_that_are_left_alone_are_not_averaged() -> None:
    with pytest.raises(ValueError, match=r"average ema=0.99 would have to follow .* set item_rows=all or ema=none"):
        Training(item_rows="touched", ema=0.99)
