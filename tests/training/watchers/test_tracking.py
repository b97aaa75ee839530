"""Trackers by name, several at once, and what happens when one fails."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from nextitem.cli import app as cli
from nextitem.cli import train as training_verb
from nextitem.errors import ConfigurationError
from nextitem.training.history import Epoch, History
from nextitem.training.watchers import open_tracker
from nextitem.training.watchers.tracked import Told, tracked
from nextitem.training.watchers.tracker import Ending, numbers_of, results_of
from worlds.small_runs import metrics, outcome

EPOCH = Epoch(1, 5.0, None, {"ndcg@10": 0.1, "hit_rate@10[pop100]": 0.2}, 2.0, 1000.0)


class Recorder:
    """Remembers what it was told, and fails where it is asked to."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.told: list[str] = []

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if what == self.failing:
            raise RuntimeError("no connection")

    def start(self, name: str, settings: Mapping[str, object]) -> None:
        self._tell("start")

    def step(self, epoch: int, step: int, steps: int) -> None:
        self._tell("step")

    def epoch(self, epoch: Epoch, history: History) -> None:
        self._tell("epoch")

    def finish(self, results: Mapping[str, float]) -> None:
        self._tell("finish")

    def close(self, ending: Ending) -> None:
        self._tell(ending)


def test_one_that_fails_says_so_once_and_the_others_go_on() -> None:
    broken, whole, said = Recorder("epoch"), Recorder(), list[str]()
    with tracked([broken, whole], "name", {}, said.append) as trackers:
        told = Told(trackers)
        for _ in range(2):
            told.step(1, 1, 1)
            told.epoch(EPOCH, History([EPOCH], 1))
        for tracker in trackers:
            tracker.finish({})
    assert broken.told == ["start", "step", "epoch"]
    assert whole.told == ["start", "step", "epoch", "step", "epoch", "finish", "finished"]
    assert said == [
        "the tracker Recorder failed after epoch 1 and is left out from here on: RuntimeError: no connection"
    ]


@pytest.mark.parametrize(("error", "ending"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_a_training_that_ends_early_is_closed_as_that(error: type[BaseException], ending: str) -> None:
    recorder = Recorder()
    with pytest.raises(error), tracked([recorder], "name", {}, print):
        raise error
    assert recorder.told == ["start", ending]


def test_numbers_have_names_that_every_tracker_takes() -> None:
    assert numbers_of(EPOCH) == {
        "loss/training": 5.0,
        "speed/positions_per_second": 1000.0,
        "speed/train_seconds": 2.0,
        "validation/ndcg_at_10": 0.1,
        "validation/hit_rate_at_10_pop100": 0.2,
    }
    results = results_of(metrics("sasrec-ce").as_dict())
    assert results["test/ndcg_at_10"] == outcome("sasrec-ce").test.means["ndcg@10"]
    assert results["epochs"] == 2
    assert all(isinstance(value, int | float) for value in results.values())


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'tensorboard'") as caught:
        open_tracker("tensorbord", tmp_path)
    assert caught.value.exit_code == 2


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "mlflow.tracking", raising=False)
    monkeypatch.delitem(sys.modules, "nextitem.training.watchers.mlflow", raising=False)
    with pytest.raises(ConfigurationError, match=r"pip install 'nextitem\[mlflow\]'") as caught:
        open_tracker("mlflow:sqlite:///x.db", tmp_path)
    assert caught.value.exit_code == 2


def shop(folder: Path) -> Path:
    lines = [f"v{v},{(v + step) % 13},{step}" for v in range(30) for step in range(6)]
    (folder / "events.csv").write_text("\n".join(["user,item,time", *lines]), encoding="utf-8")
    return folder


def trained(folder: Path, patch: pytest.MonkeyPatch, *words: str) -> int:
    """`nextitem train` of a small SASRec; its exit code."""
    patch.chdir(shop(folder))
    small = ("encoder.dim=8", "objective.maximum_length=8", "training.epochs=2", "training.patience=none")
    patch.setattr(sys, "argv", ["nextitem", "train", "sasrec-ce", "data=events.csv", *small, "--no-report", *words])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_train_tells_tensorboard_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert trained(tmp_path, monkeypatch, "--tracker", "tensorboard") == 0
    (run,) = (tmp_path / "runs" / ".tensorboard").iterdir()
    events = EventAccumulator(str(run))
    events.Reload()
    assert [point.step for point in events.Scalars("loss/training")] == [1, 2]
    assert "test/ndcg_at_10" in events.Tags()["scalars"]


def test_a_tracker_that_fails_does_not_lose_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training_verb, "open_tracker", lambda *_: Recorder("epoch"))
    assert trained(tmp_path, monkeypatch, "--tracker", "any") == 0
    assert "the tracker Recorder failed after epoch 1" in capfd.readouterr().err
    assert len(list((tmp_path / "runs").glob("2*"))) == 1


def test_an_unknown_tracker_is_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert trained(tmp_path, monkeypatch, "--tracker", "comet") == 2
    assert "--tracker comet: known: tensorboard, mlflow, clearml" in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()
