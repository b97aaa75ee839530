"""A tracker whose failure loses nothing but what it would have shown."""

from collections.abc import Callable, Mapping

from nextitem.training.history import Epoch, History
from nextitem.training.watchers.tracker import Ending, Tracker


class Guarded:
    """Hands on to a tracker until it fails; `say` is told once, and the training goes on without it."""

    def __init__(self, tracker: Tracker, say: Callable[[str], None]) -> None:
        self.tracker, self.say = tracker, say
        self.works = True

    def start(self, name: str, settings: Mapping[str, object]) -> None:
        """Hand on."""
        self._try("at the start", lambda: self.tracker.start(name, settings))

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Hand on."""
        self._try(f"at step {step} of epoch {epoch}", lambda: self.tracker.step(epoch, step, steps))

    def epoch(self, epoch: Epoch, history: History) -> None:
        """Hand on."""
        self._try(f"after epoch {epoch.epoch}", lambda: self.tracker.epoch(epoch, history))

    def finish(self, results: Mapping[str, float]) -> None:
        """Hand on."""
        self._try("at the end", lambda: self.tracker.finish(results))

    def close(self, ending: Ending) -> None:
        """Hand on."""
        self._try("when it was closed", lambda: self.tracker.close(ending))

    def _try(self, when: str, call: Callable[[], None]) -> None:
        if not self.works:
            return
        try:
            call()
        except Exception as error:  # whatever a foreign library raises, hours of training are worth more
            self.works = False
            self.say(
                f"the tracker {type(self.tracker).__name__} failed {when} and is left out from here on: "
                f"{type(error).__name__}: {error}"
            )
