"""What Ctrl-C does while a program is still being imported, and while it ends because of another."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended: 128 and the number of the signal."""


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Inside, Ctrl-C ends the process with one word and INTERRUPTED, for there is nothing yet to lose or to tidy.

    Raised as a KeyboardInterrupt in the middle of an import it would be a traceback of somebody else's code, or be
    swallowed by a library that takes any failure of an import for a missing package. A program that heeds the signal in
    its own way, or ignores it, goes on to do so.
    """
    with _heeding(_leave):
        yield


@contextmanager
def heeded_already() -> Iterator[None]:
    """Inside, a further Ctrl-C changes nothing, as when the last word of what the first one ended is being said.

    Pressed twice it would else end in a traceback. A program that heeds the signal in its own way goes on to do so.
    """
    with _heeding(signal.SIG_IGN):
        yield


@contextmanager
def _heeding(heed: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, heed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)
