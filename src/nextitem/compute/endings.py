"""What ends a program from outside, beside Ctrl-C: it is told so, puts right what it was at, and ends then."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""The signals that a program is told of."""


class Ended(BaseException):
    """The system or an operator ends the process, by a signal of this number; what was begun is put right.

    Not an Exception: nothing that goes on after a failure goes on after this.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number
        """That of shells: 143 after SIGTERM, 129 after SIGHUP."""


@contextmanager
def told_of_signals() -> Iterator[None]:
    """Inside the block SIGTERM and SIGHUP raise Ended, once; one that was to be ignored, as under `nohup`, still is."""
    taken = [number for number in ENDING if signal.getsignal(number) == signal.SIG_DFL]

    def end(number: int, _frame: FrameType | None) -> None:
        for each in taken:  # one that comes while the first is being obeyed would leave what that was tidying
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
