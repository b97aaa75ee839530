"""MLflow's own store, a database file, holds what the tracker was told."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from nextitem.training.history import Epoch, History
from nextitem.training.watchers import open_tracker
from nextitem.training.watchers.mlflow import EXPERIMENT
from nextitem.training.watchers.tracked import tracked

pytestmark = pytest.mark.filterwarnings("default")  # MLflow's own, of which there are some


def epoch(number: int) -> Epoch:
    return Epoch(number, 5.0 / number, None, {"ndcg@10": 0.1 * number}, 2.0, 1000.0)


def test_a_training_is_a_run_with_parameters_curves_and_results(tmp_path: Path) -> None:
    address, failures = f"sqlite:///{tmp_path}/mlflow.db", list[str]()
    settings = {"encoder.dim": 8, "negatives": None}
    with tracked([open_tracker(f"mlflow:{address}", tmp_path)], "a-run", settings, failures.append) as (one,):
        history = History([epoch(1), epoch(2), epoch(3)], best_epoch=3)
        one.epoch(history.epochs[-1], history)
        one.finish({"test/ndcg_at_10": 0.25})
    assert failures == []
    client = MlflowClient(tracking_uri=address)
    (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert (run.info.run_name, run.info.status) == ("a-run", "FINISHED")
    assert run.data.params == {"encoder.dim": "8", "negatives": "none"}
    assert run.data.metrics["test/ndcg_at_10"] == 0.25
    points = client.get_metric_history(run.info.run_id, "validation/ndcg_at_10")
    assert [(point.step, point.value) for point in points] == [(1, 0.1), (2, 0.2), (3, pytest.approx(0.3))]
    assert "loss/validation" not in run.data.metrics


def test_a_second_training_joins_the_experiment_and_a_failed_one_is_marked(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/mlflow.db"
    with tracked([open_tracker(f"mlflow:{address}", tmp_path)], "first", {}, print):
        pass
    with (
        pytest.raises(ValueError, match="diverged"),
        tracked([open_tracker(f"mlflow:{address}", tmp_path)], "second", {}, print),
    ):
        raise ValueError("diverged")
    client = MlflowClient(tracking_uri=address)
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert {run.info.run_name: run.info.status for run in runs} == {"first": "FINISHED", "second": "FAILED"}


def test_a_store_that_cannot_be_reached_is_said_and_the_training_goes_on(tmp_path: Path) -> None:
    failures: list[str] = []
    with tracked([open_tracker("mlflow:nosuchscheme://x", tmp_path)], "a-run", {}, failures.append) as (one,):
        one.epoch(epoch(1), History([epoch(1)], best_epoch=1))
    assert len(failures) == 1
    assert "the tracker MLflow failed at the start and is left out from here on" in failures[0]
