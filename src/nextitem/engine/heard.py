"""What processes of a Ray cluster say on stderr, said by the process that asked for them.

Ray would pass on the lines of all processes with its own words before and between them.
"""

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from threading import Event, Thread
from typing import Any, TextIO, cast

from nextitem.compute.streams import say


class Heard:
    """Lines on their way from other processes: an actor, which takes no core, and who listens to it."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        # With its machine goes what was not yet repeated, and nothing else.
        self._lines = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Lines).remote()

    def repeat(self) -> None:
        """Say what was said since the last call."""
        for line in self._ray.get(self._lines.take.remote()):
            say(line)

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Inside, and at its end, what is said is said here; another thread waits for it."""
        done = Event()

        def listen() -> None:
            while not done.wait(0.5):
                try:
                    self.repeat()
                except self._ray.exceptions.RayError:
                    return  # of a cluster that is lost whoever waits in the block is told

        thread = Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        self.repeat()

    @property
    def speaker(self) -> "Speaker":
        """What another process is handed."""
        return Speaker(self._lines)


class Speaker:
    """In another process, a stderr that is heard elsewhere."""

    def __init__(self, lines: Any) -> None:
        self._lines, self._begun = lines, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        if lines:
            self._lines.add.remote(lines)
        return len(text)

    def flush(self) -> None:
        """Lines are sent as they end."""

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Inside, stderr is heard there."""
        with redirect_stderr(cast(TextIO, self)):
            yield


class _Lines:
    """The actor."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, lines: list[str]) -> None:
        self._lines += lines

    def take(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines
