"""Which precision is faster is found out on the machine: said of every full softmax, and decided where it is open."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nextitem.data.prepare import Prepared
from nextitem.engine.each import find_each
from nextitem.engine.entries import Entry, Place
from nextitem.errors import ConfigurationError
from nextitem.experiment.plan import plan, precision
from nextitem.experiment.plan.precision import as_begun, seconds_of, settled, versions_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.experiment.train import train
from nextitem.model.losses import CrossEntropy
from nextitem.settings.keys import settings_of
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.killed import KilledError, Killer
from worlds.parts import with_parts
from worlds.small_runs import RECIPES, chains, log_of, prepared_from, sha256, write_csv

OPEN = with_parts(RECIPES["sasrec-ce"], loss=CrossEntropy(precision="auto"))


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepared_from(log_of(chains()))


def faster(monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float) -> None:
    """A machine on which the loss takes so long."""
    monkeypatch.setattr(precision, "seconds_of", lambda *_: [float32, bfloat16])
    monkeypatch.setattr(plan, "seconds_of", lambda *_: [float32, bfloat16])


def loss_of(recipe: Recipe) -> CrossEntropy:
    loss = recipe.sequence.loss
    assert isinstance(loss, CrossEntropy)
    return loss


@pytest.mark.parametrize(
    ("seconds", "chosen"), [((1.0, 2.0), "float32"), ((2.0, 1.0), "bfloat16"), ((1.0, 1.0), "float32")]
)
def test_what_is_open_is_settled_by_what_is_faster_here(
    seconds: tuple[float, float], chosen: str, monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    faster(monkeypatch, *seconds)
    assert loss_of(settled(OPEN, prepared, Session(0))).precision == chosen
    assert loss_of(plan.plan(OPEN, prepared, Session(0)).recipe).precision == chosen


BOTH = with_parts(OPEN, training=OPEN.sequence.training.model_copy(update={"precision": "auto"}))


def test_an_encoder_and_a_loss_are_settled_each_by_itself(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    faster(monkeypatch, 1.0, 2.0)
    monkeypatch.setattr(precision, "encoder_seconds", lambda *_: [2.0, 1.0])
    found = settled(BOTH, prepared, Session(0))
    assert (found.sequence.training.precision, loss_of(found).precision) == ("bfloat16", "float32")
    assert len(versions_of(BOTH)) == 4
    assert versions_of(found) == [found]
    assert as_begun(BOTH, {f"recipe.{key}": json.dumps(value) for key, value in settings_of(found).items()}) == found


def test_an_encoder_is_timed_forward_and_backward(prepared: Prepared) -> None:
    ticks = iter(range(100))
    parts = BOTH.sequence
    taken = precision.encoder_seconds(parts.training.versions, parts, prepared, Session(0), lambda: float(next(ticks)))
    assert taken == [1.0, 1.0]


def test_a_training_in_bfloat16_runs_on_the_cpu_and_is_another_one(prepared: Prepared) -> None:
    exact, rounded = (
        run(with_parts(RECIPES["sasrec-ce"], training=Training(epochs=1, precision=one)), Session(0), prepared=prepared)
        for one in ("float32", "bfloat16")
    )
    losses = [one.history.epochs[0].train_loss for one in (exact, rounded)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_nothing_is_timed_of_what_does_not_fit(monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    def timed(*_: object) -> list[float]:
        raise AssertionError("the whole table was allocated")

    monkeypatch.setattr(precision, "seconds_of", timed)
    monkeypatch.setattr(plan, "available", lambda _device: 1)
    for planning in (plan.plan, plan.plan_together):
        with pytest.raises(ConfigurationError, match="more memory on cpu, and 0 MB are available"):
            planning(OPEN, prepared, Session(0))


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_is_said_stays(name: str, monkeypatch: pytest.MonkeyPatch, prepared: Prepared) -> None:
    faster(monkeypatch, *((9.0, 1.0) if name == "float32" else (1.0, 9.0)))
    recipe = with_parts(RECIPES["sasrec-ce"], loss=CrossEntropy(precision=name))
    assert settled(recipe, prepared, Session(0)) is recipe
    assert versions_of(recipe) == [recipe]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ((2.0, 1.0), "; its loss would be 2.0 times as fast here in bfloat16"),
        ((1.0, 9.5), "; its loss would be 9.5 times slower here in bfloat16"),
        ((1.0, 1.05), ""),
    ],
)
def test_a_plan_says_by_how_much_the_other_differs(
    seconds: tuple[float, float], said: str, monkeypatch: pytest.MonkeyPatch, prepared: Prepared
) -> None:
    faster(monkeypatch, *seconds)
    found = plan.plan(RECIPES["sasrec-ce"], prepared, Session(0))
    shorter = replace(found, loss_seconds={"float32": seconds[0] / 1000, "bfloat16": seconds[1] / 1000})
    assert str(shorter).partition(")")[2] == ""  # of an epoch of milliseconds it does not matter
    longer = replace(found, loss_seconds={"float32": 10 * seconds[0], "bfloat16": 10 * seconds[1]})
    assert str(longer).partition(")")[2] == said
    assert found.loss_seconds["float32"] == pytest.approx(found.seconds["loss"])
    assert found.loss_seconds["bfloat16"] == pytest.approx(found.seconds["loss"] * seconds[1] / seconds[0])


def test_a_loss_of_one_version_is_not_timed_in_others(prepared: Prepared) -> None:
    found = plan.plan(RECIPES["sasrec-bce"], prepared, Session(0))
    assert found.loss_seconds == {}
    assert "its loss" not in str(found)


def test_both_are_timed_on_the_same_states(prepared: Prepared) -> None:
    """A clock that moves by a second whenever it is looked at: each takes one."""
    now = iter(range(10**6))
    losses = CrossEntropy().versions
    assert [loss.version for loss in losses] == ["float32", "bfloat16"]
    assert seconds_of(losses, OPEN.sequence, prepared, Session(0), lambda: float(next(now))) == [1.0, 1.0]
    assert all(taken > 0 for taken in seconds_of(losses, OPEN.sequence, prepared, Session(0)))


def test_a_run_has_what_it_was_settled_as_and_is_found_by_what_was_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faster(monkeypatch, 2.0, 1.0)
    events = str(write_csv(log_of(chains()), tmp_path / "events.csv"))
    asked = OPEN.model_copy(update={"data": events})
    stored = train(asked, Session(0), tmp_path / "runs")
    assert loss_of(stored.recipe).precision == "bfloat16"
    faster(monkeypatch, 1.0, 2.0)
    (found,) = find_each([Entry("open", asked)], [0], Place(tmp_path / "runs"), lambda _text: None)
    assert [one.folder for one in found.runs] == [stored.folder]


def test_a_training_goes_on_as_it_was_begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    events = str(write_csv(log_of(chains()), tmp_path / "events.csv"))
    asked = OPEN.model_copy(update={"data": events})
    faster(monkeypatch, 2.0, 1.0)
    whole = train(asked, Session(0), tmp_path / "whole")
    with pytest.raises(KilledError):
        train(asked, Session(0, watcher=Killer(1)), tmp_path / "runs")
    faster(monkeypatch, 1.0, 2.0)  # another hour, another load
    again = train(asked, Session(0), tmp_path / "runs")
    assert loss_of(again.recipe).precision == "bfloat16"
    assert sha256(again.weights) == sha256(whole.weights)
    assert as_begun(asked, {}) is asked


def test_without_a_plan_an_open_precision_is_refused_with_the_remedy(prepared: Prepared) -> None:
    with pytest.raises(ConfigurationError, match=r"loss\.precision=auto is settled by the plan of a training"):
        run(OPEN, Session(0), prepared=prepared)
