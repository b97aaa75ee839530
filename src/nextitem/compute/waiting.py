"""What takes longer than anybody waits without a word."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nextitem.words import time_taken

Say = Callable[[str], None]
"""Is told a line for whoever waits."""


def silent(text: str) -> None:
    """Nobody is told."""


@contextmanager
def told_if_slow(what: str, say: Say, *, after: float = 2.0) -> Iterator[None]:
    """Say what is being done where it takes longer than `after` seconds, and again ever more rarely, with the time.

    What is short is done in silence. `say` is called by another thread, and never after this has ended.
    """
    if say is silent:
        yield
        return
    done, began = threading.Event(), time.monotonic()

    def tell() -> None:
        until = after
        while not done.wait(until + began - time.monotonic()):
            say(f"{what} …" if until == after else f"{what}: {time_taken(until)} so far")
            until = max(2 * until, 15.0)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
