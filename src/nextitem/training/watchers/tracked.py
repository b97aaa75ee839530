"""A training that is told to a tracker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from nextitem.compute.endings import Ended
from nextitem.training.history import Epoch, History, Watcher
from nextitem.training.watchers.guarded import Guarded
from nextitem.training.watchers.tracker import Ending, Tracker


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
    except (KeyboardInterrupt, Ended):
        ending = "interrupted"
        raise
    finally:
        for tracker in guarded:
            tracker.close(ending)
