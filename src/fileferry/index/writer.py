"""The one writer: functions on the connection, one after the other, many to a commit.

A function is called inside a transaction (a savepoint of it) and must not leave one open. Its caller is answered
after the commit reached the disk, so what it did may be relied upon. Functions that arrive while a commit is being
synced share the next one: that is what keeps `synchronous=FULL` cheap.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fileferry.index.connection import close_writer

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
GROUP = 64


class Writer(Protocol):
    """Whoever may change the index."""

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue `work`; the future is done when its transaction is on the disk."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` and return when its transaction is on the disk."""

    def close(self) -> None:
        """Finish what is queued, then close the index."""


class ThreadWriter:
    """A Writer with a thread of its own, which alone touches the connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[
            tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None
        ]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="index-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue `work`; the future is done when its transaction is on the disk."""
        future: Future[T] = Future()
        self._queue.put((work, future))
        return future

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` and return when its transaction is on the disk."""
        # Shielded: a caller that is cancelled must not take back what is already being written.
        return await asyncio.shield(asyncio.wrap_future(self.submit(work)))

    def close(self) -> None:
        """Finish what is queued, then close the index."""
        self._queue.put(None)
        self._thread.join()
        close_writer(self._connection)

    def _serve(self) -> None:
        while True:
            group = [self._queue.get()]
            while group[-1] is not None and len(group) < GROUP:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            commit_group(self._connection, [job for job in group if job is not None])
            if group[-1] is None:
                return


class InlineWriter:
    """A Writer that works in the caller's thread: for commands without a loop, and for simulations."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Do `work` now; the future is done."""
        future: Future[T] = Future()
        commit_group(self._connection, [(work, future)])
        return future

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` now."""
        return self.submit(work).result()

    def close(self) -> None:
        """Close the index."""
        close_writer(self._connection)


def commit_group(
    connection: sqlite3.Connection,
    jobs: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]],
) -> None:
    """Do all jobs in one transaction, each in a savepoint, and answer them after the commit.

    A job that raises is undone alone. When the commit itself fails (disk full), all of them failed.
    """
    jobs = [job for job in jobs if job[1].set_running_or_notify_cancel()]
    if not jobs:
        return
    answers: list[tuple[Future[Any], Any, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work, future in jobs:
            connection.execute("SAVEPOINT job")
            try:
                answers.append((future, work(connection), None))
            except Exception as error:  # noqa: BLE001 - whatever it is goes to whoever asked
                connection.execute("ROLLBACK TO job")
                answers.append((future, None, error))
            connection.execute("RELEASE job")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for _, future in jobs:
            future.set_exception(error)
        return
    for future, result, failure in answers:
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)
