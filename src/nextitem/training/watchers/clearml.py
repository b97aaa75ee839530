"""ClearML: a server, or a folder of this machine in its offline mode (CLEARML_OFFLINE_MODE=1)."""

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import redirect_stdout

with redirect_stdout(sys.stderr):  # its messages go where they go now, and stdout is for results
    from clearml import Task
    from clearml.backend_api import Session

from nextitem.training.history import Epoch, History
from nextitem.training.watchers.tracker import Ending, numbers_of

PROJECT = "nextitem"
_WAIT = 10.0  # seconds for a server to answer: ClearML itself would try for hours
# What ClearML would send along by itself: the repository with what is not committed, and what libraries draw and write.
_BY_ITSELF = (
    "detect_repository", "matplotlib", "tensorflow", "tensorboard", "pytorch", "xgboost", "scikit", "fastai",
    "lightgbm", "hydra", "joblib", "megengine", "catboost", "gradio", "jsonargparse", "tfdefines",
)  # fmt: skip


class ClearML:
    """One ClearML task a training; of one process one training at a time."""

    def __init__(self, project: str | None) -> None:
        """`project` is where the task is put, `nextitem` where none is named."""
        self.project = project or PROJECT
        self.task: Task | None = None
        self.epochs_told = 0

    def start(self, name: str, settings: Mapping[str, object]) -> None:
        """Open a task with the settings as its parameters. Raises OSError where the server does not answer."""
        _require_answer()
        with redirect_stdout(sys.stderr):
            self.task = Task.init(
                project_name=self.project,
                task_name=name,
                reuse_last_task_id=False,
                auto_connect_arg_parser=False,
                auto_connect_frameworks=dict.fromkeys(_BY_ITSELF, False),
                auto_resource_monitoring=False,
                auto_connect_streams=False,
            )
        told = {key: "none" if value is None else str(value) for key, value in settings.items()}
        self.task.connect(told, name="settings")

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Nothing: what is known is known after an epoch."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        """A point in every curve, also for epochs before a training was resumed."""
        if self.task is None:
            return
        for past in history.epochs[self.epochs_told :]:
            for name, value in numbers_of(past).items():
                title, _, series = name.partition("/")
                self.task.get_logger().report_scalar(title, series, value, past.epoch)
        self.epochs_told = len(history.epochs)

    def finish(self, results: Mapping[str, float]) -> None:
        """The results as single values."""
        if self.task is not None:
            for name, value in results.items():
                self.task.get_logger().report_single_value(name, value)

    def close(self, ending: Ending) -> None:
        """End the task, as completed, failed or stopped."""
        if self.task is None:
            return
        with redirect_stdout(sys.stderr):
            if ending == "failed":
                self.task.mark_failed(status_reason="the training failed")
            elif ending == "interrupted":
                self.task.mark_stopped(status_message="the training was interrupted")
            self.task.close()


def _require_answer() -> None:
    """Raises OSError where a server that is asked for does not answer at all; whatever it answers will do."""
    server = None if Task.is_offline() else Session.get_api_server_host()
    if not server:
        return
    try:
        urllib.request.urlopen(server, timeout=_WAIT).close()
    except urllib.error.HTTPError as error:
        error.close()
