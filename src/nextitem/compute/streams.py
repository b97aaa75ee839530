"""stdout and stderr of a process: what they cannot encode is spelt out, and what fails there is told as what it is."""

import codecs
import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console

from nextitem.errors import StorageError
from nextitem.words import spelt_out, visible

stderr = Console(stderr=True)
"""Where all goes that is no result."""
READER_GONE = 128 + signal.SIGPIPE
"""The exit code that a shell gives what SIGPIPE ends."""


class ReaderGoneError(Exception):
    """Whoever read stdout through a pipe, such as head, has what it wanted."""


def say(text: str, style: str | None = None) -> None:
    """One line on stderr; what of it came from elsewhere can steer no terminal."""
    stderr.print(visible(text), style=style, markup=False, highlight=False, soft_wrap=True)


def speaker() -> str:
    """What names this process before a message; empty where there is one only."""
    rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE", "1")
    return "" if size == "1" or rank is None else f"process {rank} of {size}: "


class _Stream:
    """A text stream that is written to as before, while what goes wrong in that is met in one place."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_SPELT_OUT)

    def write(self, text: str) -> int:
        try:
            return self._open().write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._open().flush()
        except OSError as error:
            self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._open(), name)  # whether it is a terminal, its encoding, and whatever else there is

    def _open(self) -> TextIO:
        if self.stream is None:  # closed before the start, as by `>&-`
            raise StorageError(
                "stdout is closed, so there is no place for results; redirect it, to /dev/null if need be"
            )
        return self.stream

    def _failed(self, error: OSError) -> None:
        """What is left in its buffer would fail again when the process ends: it goes nowhere from now on."""
        if self.stream is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


class _Results(_Stream):
    """stdout: a result that cannot be written is an error."""

    def _failed(self, error: OSError) -> None:
        super()._failed(error)
        if error.errno == errno.EPIPE:
            raise ReaderGoneError
        raise StorageError(f"cannot write to stdout: {error.strerror}; make room there, or redirect it") from error


class Words(_Stream):
    """stderr: that nobody can be told of hours of training is no reason to lose them."""

    is_lost = False
    """Whether something could not be written, and not because its reader has gone."""

    def __init__(self, stream: TextIO | None) -> None:
        # Closed before the start, as by `2>&-`: else the next file that is opened would have the number of stderr, and
        # what a library says to that would stand in it. It is open until the process ends.
        nowhere = Path(os.devnull)
        super().__init__(stream or nowhere.open("w", encoding="utf-8"))

    def _failed(self, error: OSError) -> None:
        super()._failed(error)
        self.is_lost = self.is_lost or error.errno != errno.EPIPE


@contextmanager
def taking_everything() -> Iterator[Words]:
    """Inside, stdout and stderr take every character, and stderr what nextitem logs.

    What cannot be written to stdout raises StorageError, or ReaderGoneError where a pipe was closed; on stderr it is
    left out, and the stream that this gives says so.
    """
    words, package = Words(sys.stderr), logging.getLogger("nextitem")
    with redirect_stdout(cast(TextIO, _Results(sys.stdout))), redirect_stderr(cast(TextIO, words)):
        handler, before = _Said(), package.level
        package.setLevel(logging.INFO)
        package.addHandler(handler)
        try:
            yield words
        finally:
            package.setLevel(before)
            package.removeHandler(handler)


def quieten_libraries() -> None:
    """Neither warnings nor log lines of libraries are shown from now on, unless whoever typed the command wants them.

    They speak to programmers: of what a next version will have removed, or of an axis without a point.
    """
    if "--debug" not in sys.argv and not sys.warnoptions:
        logging.captureWarnings(True)  # a filter would be overruled by those that libraries set
        logging.getLogger().addHandler(logging.NullHandler())  # without any, what is logged as a warning goes to stderr


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelt_out(error.object[error.start : error.end]), error.end


_SPELT_OUT = "nextitem.spelt_out"
codecs.register_error(_SPELT_OUT, _spell)
