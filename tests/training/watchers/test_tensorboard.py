"""TensorBoard's own reader finds what the tracker was told."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from nextitem.training.history import Epoch, History
from nextitem.training.watchers.tensorboard import TensorBoard
from nextitem.training.watchers.tracked import tracked
from worlds.power_loss import EAGER, LAZY, Disk


def epoch(number: int) -> Epoch:
    return Epoch(number, 5.0 / number, 4.0 / number, {"ndcg@10": 0.1 * number}, 2.0, 1000.0)


def told(folder: Path, failures: list[str]) -> EventAccumulator:
    """A training that is resumed after epoch 2 and ends with epoch 3, read back."""
    with tracked(
        [TensorBoard(folder)], "sasrec-ce-shop-seed0", {"encoder.dim": 8, "negatives": None}, failures.append
    ) as (one,):
        history = History([epoch(1), epoch(2), epoch(3)], best_epoch=3)
        one.step(3, 1, 1)
        one.epoch(history.epochs[-1], history)
        one.finish({"test/ndcg_at_10": 0.25, "epochs": 3})
    (run,) = folder.iterdir()
    assert run.name.endswith("-sasrec-ce-shop-seed0")
    events = EventAccumulator(str(run))
    events.Reload()
    return events


def test_every_epoch_is_a_point_also_those_before_a_resumption(tmp_path: Path) -> None:
    failures: list[str] = []
    events = told(tmp_path, failures)
    assert failures == []
    curves = {
        "loss/training": [5.0, 2.5, 5.0 / 3],
        "loss/validation": [4.0, 2.0, 4.0 / 3],
        "validation/ndcg_at_10": [0.1, 0.2, 0.3],
        "speed/positions_per_second": [1000.0] * 3,
    }
    for name, values in curves.items():
        points = events.Scalars(name)
        assert [point.step for point in points] == [1, 2, 3]
        assert [point.value for point in points] == pytest.approx(values)


def test_settings_and_results_are_a_row_of_the_table_of_trainings(tmp_path: Path) -> None:
    events = told(tmp_path, [])
    assert events.Scalars("test/ndcg_at_10")[0].value == pytest.approx(0.25)
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["encoder.dim"].number_value == 8
    assert settings["negatives"].string_value == "none"


@pytest.mark.parametrize("kind", [LAZY, EAGER])
def test_what_was_told_is_on_disk_when_the_training_has_ended(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    disk = Disk(root, monkeypatch)
    told(root / "told", [])
    left = disk.left(kind, tmp_path / "left")
    disk.close()
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert files
    assert all((left / file).read_bytes() == (root / file).read_bytes() for file in files)
