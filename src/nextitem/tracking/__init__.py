"""Trackers: where a training can be watched by other programs. Each is loaded only when it is asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from nextitem.configuration import suggest
from nextitem.errors import ConfigurationError
from nextitem.history import Epoch, History, Watcher
from nextitem.tracking.guarded import Guarded
from nextitem.tracking.tracker import Ending, Tracker


def _tensorboard(address: str | None, folder: Path) -> Tracker:
    from nextitem.tracking.tensorboard import TensorBoard

    return TensorBoard(folder if address is None else Path(address))


def _mlflow(address: str | None, _folder: Path) -> Tracker:
    from nextitem.tracking.mlflow import MLflow

    return MLflow(address)


TRACKERS: Mapping[str, Callable[[str | None, Path], Tracker]] = {"tensorboard": _tensorboard, "mlflow": _mlflow}


def open_tracker(asked: str, folder: Path) -> Tracker:
    """The tracker of `name` or `name:address`, such as `mlflow:sqlite:///mlflow.db`.

    `folder` is where one writes that needs a folder and was given none. Raises ConfigurationError for an unknown name,
    and where the package is missing.
    """
    name, _, address = asked.partition(":")
    if name not in TRACKERS:
        raise ConfigurationError(f"--tracker {asked}: {suggest(name, TRACKERS)}")
    try:
        return TRACKERS[name](address or None, folder)
    except ImportError as error:
        raise ConfigurationError(
            f"--tracker {name} needs a package that is not installed ({error}); run: pip install 'nextitem[{name}]'"
        ) from error


class Told:
    """Tells several watchers what it is told."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Tell all."""
        for watcher in self.watchers:
            watcher.step(epoch, step, steps)

    def epoch(self, epoch: Epoch, history: History) -> None:
        """Tell all."""
        for watcher in self.watchers:
            watcher.epoch(epoch, history)


@contextmanager
def tracked(
    trackers: Sequence[Tracker], name: str, settings: Mapping[str, object], say: Callable[[str], None]
) -> Iterator[list[Tracker]]:
    """The trackers, started and guarded: one that fails says so and is left out from then on; the training goes on.

    They are closed at the end, as failed or interrupted where the training was.
    """
    guarded: list[Tracker] = [Guarded(tracker, say) for tracker in trackers]
    for tracker in guarded:
        tracker.start(name, settings)
    ending: Ending = "failed"
    try:
        yield guarded
        ending = "finished"
    except KeyboardInterrupt:
        ending = "interrupted"
        raise
    finally:
        for tracker in guarded:
            tracker.close(ending)
