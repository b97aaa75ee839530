"""One thread that writes: jobs that wait are committed together, and nobody is answered before the commit."""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nextitem.errors import NextitemError, StorageError
from nextitem.serving.store.database import told

MOST_WAITING, MOST_TOGETHER = 1024, 256
"""Jobs that may wait, beyond which a new one is refused at once; and how many of them are one commit."""

R = TypeVar("R")
Work = Callable[[sqlite3.Connection], Any]


class QueueFullError(StorageError):
    """More waits to be written than may; what was refused was not stored, and may be sent again in a moment."""


@dataclass(frozen=True)
class _Job:
    work: Work
    kept: Callable[[Any], None]
    """Told of the result when it is on disk, before anybody else is."""
    answer: "Future[Any]"


class Writer:
    """Carries jobs out one after another, as many as wait in one transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path, most_waiting: int = MOST_WAITING) -> None:
        self._connection, self._path = connection, path
        self._waiting = queue.Queue[_Job | None](most_waiting)
        self._thread = threading.Thread(target=self._run, name="nextitem event writer", daemon=True)
        self._is_closed, self._closing = False, threading.Lock()
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._waiting.qsize()

    def submit(
        self, work: Callable[[sqlite3.Connection], R], kept: Callable[[R], None] = lambda _: None
    ) -> "Future[R]":
        """What the work will return, once it is on disk; what it raises of our own undoes it alone.

        Raises QueueFullError, and StorageError where the store was closed. The future raises StorageError where the
        disk refuses; nothing of the group is stored then.
        """
        answer = Future[Any]()
        with self._closing:
            if self._is_closed:
                raise StorageError(f"{self._path} was closed; nothing more is stored in it")
            try:
                self._waiting.put_nowait(_Job(work, kept, answer))
            except queue.Full:
                raise QueueFullError(
                    f"{self._waiting.qsize():,} requests wait to be stored in {self._path}; send this one again in a "
                    f"moment"
                ) from None
        return answer

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        with self._closing:
            is_first, self._is_closed = not self._is_closed, True
        if is_first:
            self._waiting.put(None)
        self._thread.join()

    def empty_log(self) -> None:
        """Put all of the log into the database, so that what was deleted is nowhere any more; of `kept` alone."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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
            self._connection.execute("BEGIN IMMEDIATE")
            found = [self._carried_out(job) for job in jobs]
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            reason = told(error, self._path, "write") if isinstance(error, sqlite3.Error) else error
            for job in jobs:
                job.answer.set_exception(reason)
            return
        for job, result in zip(jobs, found, strict=True):
            if isinstance(result, NextitemError):
                job.answer.set_exception(result)
                continue
            try:
                job.kept(result)
            except sqlite3.Error as error:
                job.answer.set_exception(told(error, self._path, "write"))
            else:
                job.answer.set_result(result)

    def _carried_out(self, job: _Job) -> Any:
        self._connection.execute("SAVEPOINT job")
        try:
            result = job.work(self._connection)
        except NextitemError as error:
            self._connection.execute("ROLLBACK TO job")
            result = error
        self._connection.execute("RELEASE job")
        return result
