"""MLflow: a tracking server, or a database file such as sqlite:///mlflow.db."""

import os
import time
from collections.abc import Mapping

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from nextitem.training.history import Epoch, History
from nextitem.training.watchers.tracker import Ending, numbers_of

# What is trained here is told to the tracking server alone; and one that cannot be reached must not hold up a training
# for the quarter of an hour that MLflow would try. Whoever has set these keeps them. MLflow reads them when imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

EXPERIMENT = "nextitem"
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MLflow:
    """One MLflow run a training, in the experiment `nextitem`."""

    def __init__(self, address: str | None) -> None:
        """`address` is a tracking URI; without one MLflow's own setting counts, MLFLOW_TRACKING_URI."""
        self.address = address
        self.client: MlflowClient | None = None
        self.run = ""
        self.epochs_told = 0

    def start(self, name: str, settings: Mapping[str, object]) -> None:
        """Open a run with the settings as its parameters."""
        self.client = MlflowClient(tracking_uri=self.address)
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        number = self.client.create_experiment(EXPERIMENT) if experiment is None else experiment.experiment_id
        self.run = self.client.create_run(number, run_name=name).info.run_id
        parameters = [Param(key, "none" if value is None else str(value)) for key, value in settings.items()]
        self.client.log_batch(self.run, params=parameters)

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Nothing: what is known is known after an epoch."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        """A point in every curve, also for epochs before a training was resumed."""
        for past in history.epochs[self.epochs_told :]:
            self._log(numbers_of(past), past.epoch)
        self.epochs_told = len(history.epochs)

    def finish(self, results: Mapping[str, float]) -> None:
        """The results as metrics."""
        self._log(results, self.epochs_told)

    def close(self, ending: Ending) -> None:
        """End the run, as finished, failed or killed."""
        if self.client is not None and self.run:
            self.client.set_terminated(self.run, _STATUS[ending])

    def _log(self, values: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        if self.client is not None:
            self.client.log_batch(self.run, metrics=[Metric(name, value, now, step) for name, value in values.items()])
