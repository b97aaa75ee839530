"""What a tracker is, and what all of them call the numbers they are told."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

from nextitem.training.history import Epoch, Watcher

Ending = Literal["finished", "failed", "interrupted"]


class Tracker(Watcher, Protocol):
    """A watcher that is also told what is trained and what came out."""

    def start(self, name: str, settings: Mapping[str, object]) -> None:
        """A training of this name begins; `settings` by dotted key."""

    def finish(self, results: Mapping[str, float]) -> None:
        """What was measured in the end."""

    def close(self, ending: Ending) -> None:
        """Nothing more will be told."""


def numbers_of(epoch: Epoch) -> dict[str, float]:
    """What is known after an epoch, by name."""
    results = {
        "loss/training": epoch.train_loss,
        "loss/validation": epoch.validation_loss,
        "speed/positions_per_second": epoch.positions_per_second,
        "speed/train_seconds": epoch.train_seconds,
        **{f"validation/{tracked_name(name)}": value for name, value in epoch.validation.items()},
    }
    return {name: value for name, value in results.items() if value is not None}


def results_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """What was measured in the end, by name: the numbers of metrics.json."""
    single = {name: metrics[name] for name in ("best_epoch", "epochs", "train_seconds", "parameters")}
    return single | dict(_tested(metrics["test"]))


def _tested(test: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in test.items():
        if isinstance(value, float):
            yield f"test/{tracked_name(name)}", value


def tracked_name(metric: str) -> str:
    """A metric's name without the @ that trackers do not take.

    >>> tracked_name("ndcg@10")
    'ndcg_at_10'
    """
    return metric.replace("@", "_at_").replace("[", "_").replace("]", "")
