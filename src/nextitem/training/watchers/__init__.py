"""Trackers: where a training can be watched by other programs. Each is loaded only when it is asked for."""

from collections.abc import Callable, Mapping
from pathlib import Path

from nextitem.errors import ConfigurationError
from nextitem.settings.given import expanded
from nextitem.settings.suggestion import suggest
from nextitem.training.watchers.tracker import Tracker


def _tensorboard(address: str | None, folder: Path) -> Tracker:
    from nextitem.training.watchers.tensorboard import TensorBoard

    return TensorBoard(folder if address is None else expanded(address))


def _mlflow(address: str | None, _folder: Path) -> Tracker:
    from nextitem.training.watchers.mlflow import MLflow

    return MLflow(address and _at_home(address))


def _clearml(project: str | None, _folder: Path) -> Tracker:
    from nextitem.training.watchers.clearml import ClearML

    return ClearML(project)


def _at_home(address: str) -> str:
    """A tracking address, with the home folder where it or the path in it begins with `~`."""
    scheme, mark, path = address.rpartition(":///")
    return f"{scheme}{mark}{expanded(path)}" if path.startswith("~") else address


TRACKERS: Mapping[str, Callable[[str | None, Path], Tracker]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "clearml": _clearml,
}


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
