"""A training that stops anywhere and goes on ends with the very bits of one that never stopped."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from nextitem.training.history import Epoch, History
from worlds.killed import (
    KINDS,
    LOG,
    SOFTMAX,
    SUN,
    TRAINING,
    KilledError,
    Killer,
    train,
)
from worlds.small_runs import sha256


def facts(history: History) -> list[Epoch]:
    """The epochs without what a clock says."""
    return [replace(epoch, train_seconds=0.0, positions_per_second=0.0) for epoch in history.epochs]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, History]]:
    """Per kind the fingerprint and history of a training that never stopped."""
    folder, found = tmp_path_factory.mktemp("uninterrupted"), {}
    for number, kind in enumerate(KINDS):
        model, history = train(kind, folder / f"{number}.safetensors")
        found[kind] = sha256(model.state_dict()), history
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("killer", [(1,), (2,), (3,), (4,), (3, 2)], ids="killed at {}".format)
def test_a_resumed_training_ends_with_the_same_bits(
    kind: str, killer: tuple[int, ...], uninterrupted: dict[str, tuple[str, History]], tmp_path: Path
) -> None:
    file = tmp_path / "partial" / "checkpoint.safetensors"
    with pytest.raises(KilledError):
        train(kind, file, Killer(*killer))
    model, history = train(kind, file)
    weights, expected = uninterrupted[kind]
    assert sha256(model.state_dict()) == weights
    assert facts(history) == facts(expected)
    assert history.best_epoch == expected.best_epoch == 2


def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(
    uninterrupted: dict[str, tuple[str, History]], tmp_path: Path
) -> None:
    for killer in (Killer(1, 2), Killer(1), Killer(2, 1), Killer(2), Killer(4, 1)):
        with pytest.raises(KilledError):
            train(SOFTMAX, tmp_path / "checkpoint.safetensors", killer)
    model, _ = train(SOFTMAX, tmp_path / "checkpoint.safetensors")
    assert sha256(model.state_dict()) == uninterrupted[SOFTMAX][0]


def test_the_fingerprint_tells_trainings_apart(uninterrupted: dict[str, tuple[str, History]], tmp_path: Path) -> None:
    """Otherwise the tests above would prove nothing."""
    model, _ = train(SOFTMAX, tmp_path / "checkpoint.safetensors", seed=1)
    assert len({weights for weights, _ in uninterrupted.values()} | {sha256(model.state_dict())}) == len(KINDS) + 1


def test_a_training_whose_batch_grows_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    training = TRAINING.model_copy(update={"batch_size": 2, "batch_growth": 1, "most_batch_size": 6})
    expected, history = train(SOFTMAX, tmp_path / "whole", training=training)
    for killer in (Killer(1), Killer(3)):
        with pytest.raises(KilledError):
            train(SOFTMAX, tmp_path / "parts", killer, training=training)
    model, resumed = train(SOFTMAX, tmp_path / "parts", training=training)
    assert facts(resumed) == facts(history)
    assert sha256(model.state_dict()) == sha256(expected.state_dict())


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_of_so_many_steps_goes_on_to_the_same_bits(epoch: int, tmp_path: Path) -> None:
    steps = math.ceil(len(SUN[1].windows(LOG)) / TRAINING.batch_size)
    training = TRAINING.model_copy(update={"steps": 2 * steps + steps // 2})  # half of the third epoch
    expected, history = train("2019", tmp_path / "whole", training=training)
    with pytest.raises(KilledError):
        train("2019", tmp_path / "parts", Killer(epoch), training=training)
    model, resumed = train("2019", tmp_path / "parts", training=training)
    assert len(history.epochs) == 3
    assert facts(resumed) == facts(history)
    assert sha256(model.state_dict()) == sha256(expected.state_dict())
    again, after = train("2019", tmp_path / "parts", training=training)  # there is nothing left to do
    assert (facts(after), sha256(again.state_dict())) == (facts(history), sha256(expected.state_dict()))
