"""One thread that writes a database: many submitters share one transaction, and so one fsync.

What is submitted while a transaction is being committed makes up the next. Each piece of work has a savepoint of its
own, so that one which fails costs no other; futures resolve after COMMIT.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from detector.errors import StoreError
from detector.store.database import explain

T = TypeVar("T")

log = logging.getLogger(__name__)

GROUP = 256
"""Most pieces of work in one transaction."""


def _nothing(*_: object) -> None:
    pass


class _Job(Generic[T]):
    """A piece of work, and what became of it."""

    def __init__(self, work: Callable[[sqlite3.Connection], T], prepare: Callable[[], None]) -> None:
        self.work, self.prepare = work, prepare
        self.future: Future[T] = Future()
        self.results: list[T] = []
        self.error: Exception | None = None

    def begin(self) -> bool:
        """Do what needs no database; False when that is all there is to do."""
        if not self.future.set_running_or_notify_cancel():
            return False
        try:
            self.prepare()
        except Exception as error:
            self.future.set_exception(error)
            return False
        return True

    def attempt(self, connection: sqlite3.Connection) -> None:
        """Do the work. Raises only what has made SQLite give up the whole transaction."""
        connection.execute("SAVEPOINT job")
        try:
            self.results.append(self.work(connection))
        except Exception as error:
            if not connection.in_transaction:
                raise
            self.error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def resolve(self, path: Path) -> None:
        """Tell the submitter, after COMMIT."""
        if self.error is not None:
            self.fail(self.error, path)
        else:
            self.future.set_result(self.results[0])

    def fail(self, error: Exception, path: Path) -> None:
        """Tell the submitter that nothing of it was written."""
        self.future.set_exception(explain(error, path) if isinstance(error, sqlite3.Error | OSError) else error)


class Writer:
    """The only writer of a database; owns the connection."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, committed: Callable[[sqlite3.Connection], None] = _nothing
    ) -> None:
        """``committed`` is called, on the writer's thread, after each transaction and before anybody hears of it."""
        self.path = path
        self._connection, self._committed = connection, committed
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T], *, prepare: Callable[[], None] = _nothing) -> Future[T]:
        """Have work done inside a transaction; the future gives its result, once that is on the disk.

        ``prepare`` is done before, outside the transaction, on the writer's thread too. Whatever the work raises comes
        through the future, errors of SQLite as StoreError; then nothing of it was written. Any thread may call this.
        """
        job = _Job(work, prepare)
        with self._lock:
            if not self._closed:
                self._queue.put(job)
                return job.future
        job.future.set_exception(StoreError(f"{self.path} is closed"))
        return job.future

    def close(self, timeout: float = 30.0) -> None:
        """Do what was submitted, and close the database. Raises StoreError when the disk hangs for so many seconds."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise StoreError(f"{self.path}: the disk has not answered for {timeout:g} s: see the kernel's log")
        self._connection.close()

    def _run(self) -> None:
        while jobs := self._take():
            self._commit([job for job in jobs if job.begin()])

    def _take(self) -> list[_Job[Any]]:
        """Wait for work, and give all that has come; nothing at the end."""
        jobs: list[_Job[Any]] = []
        while len(jobs) < GROUP and not self._stopped:
            try:
                job = self._queue.get(block=not jobs)
            except Empty:
                break
            if job is None:
                self._stopped = True
            else:
                jobs.append(job)
        return jobs

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        if not jobs:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                job.attempt(self._connection)
            self._connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            for job in jobs:
                job.fail(error, self.path)
        else:
            self._tell()
            for job in jobs:
                job.resolve(self.path)

    def _tell(self) -> None:
        try:
            self._committed(self._connection)
        except Exception as error:  # what is committed is committed, whatever else is wrong
            log.error("%s: after a commit: %s", self.path, error)

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # the error that led here is the one to tell
            if self._connection.in_transaction:
                self._connection.rollback()
