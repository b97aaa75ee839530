"""One thread that writes: jobs that wait are committed together, and nobody is answered before the commit."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from nextitem.errors import NextitemError, StorageError

MOST_WAITING, MOST_TOGETHER = 1024, 256
"""Jobs that may wait, beyond which a new one is refused at once; and how many of them are one commit."""

R = TypeVar("R")
Work = Callable[[Any], Any]


class QueueFullError(StorageError):
    """More waits to be written than may; what was refused was not stored, and may be sent again in a moment."""


@dataclass(frozen=True)
class _Job:
    work: Work
    kept: Callable[[Any], None]
    """Told of the result when it is on disk, before anybody else is."""
    answer: "Future[Any]"


class Transactions(Protocol):
    """Where jobs are carried out; what `str` calls it is in messages."""

    def together(self) -> AbstractContextManager[Any]:
        """Commit at the end what is done with the connection it gives, or nothing where the block raises."""

    def apart(self, connection: Any) -> AbstractContextManager[None]:
        """Undo what is done inside, and nothing else of the transaction, where an error of our own is raised."""

    def told(self, error: BaseException) -> BaseException:
        """What to say of an error."""


class Writer:
    """Carries jobs out one after another, as many as wait in one transaction."""

    def __init__(self, transactions: Transactions, most_waiting: int = MOST_WAITING) -> None:
        self._transactions = transactions
        self._waiting = queue.Queue[_Job | None](most_waiting)
        self._thread = threading.Thread(target=self._run, name="nextitem event writer", daemon=True)
        self._is_closed, self._closing = False, threading.Lock()
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._waiting.qsize()

    def submit(self, work: Callable[[Any], R], kept: Callable[[R], None] = lambda _: None) -> "Future[R]":
        """What the work will return, once it is on disk; what it raises of our own undoes it alone.

        Raises QueueFullError, and StorageError where the store was closed. The future raises StorageError where the
        disk refuses; nothing of the group is stored then.
        """
        answer = Future[Any]()
        with self._closing:
            if self._is_closed:
                raise StorageError(f"{self._transactions} was closed; nothing more is stored in it")
            try:
                self._waiting.put_nowait(_Job(work, kept, answer))
            except queue.Full:
                raise QueueFullError(
                    f"{self._waiting.qsize():,} requests wait to be stored in {self._transactions}; send this one "
                    f"again in a moment"
                ) from None
        return answer

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        with self._closing:
            is_first, self._is_closed = not self._is_closed, True
        if is_first:
            self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_over = False
        while not is_over:
            group = [self._waiting.get()]
            with suppress(queue.Empty):
                while len(group) < MOST_TOGETHER:
                    group.append(self._waiting.get_nowait())
            is_over = None in group
            self._commit([job for job in group if job is not None and job.answer.set_running_or_notify_cancel()])

    def _commit(self, jobs: Sequence[_Job]) -> None:
        """Carry out jobs as one transaction, and answer each of them."""
        if not jobs:
            return
        try:
            with self._transactions.together() as connection:
                found = [self._carried_out(connection, job) for job in jobs]
        except BaseException as error:
            reason = self._transactions.told(error)
            for job in jobs:
                job.answer.set_exception(reason)
            return
        for job, result in zip(jobs, found, strict=True):
            if isinstance(result, NextitemError):
                job.answer.set_exception(result)
                continue
            try:
                job.kept(result)
            except Exception as error:
                job.answer.set_exception(self._transactions.told(error))
            else:
                job.answer.set_result(result)

    def _carried_out(self, connection: Any, job: _Job) -> Any:
        try:
            with self._transactions.apart(connection):
                return job.work(connection)
        except NextitemError as error:
            return error
