"""The one writer: functions on the connection, one after the other, many to a commit.

A function is called inside a transaction (a savepoint of it) and must not leave one open. Its caller is answered
after the commit reached the disk, so what it did may be relied upon. Functions that arrive while a commit is being
synced share the next one: that is what keeps `synchronous=FULL` cheap.

A disk that takes nothing for a while (it is full, or somebody locks the index) is waited for: the transaction is
done again, whole, until it passes. Whoever asked waits too, and that is the point: no upload begins without its
intent on the disk, and the id that an upload just got is kept until it can be written.

An index that was removed or replaced takes nothing more, so that nothing is sent whose id nobody would find.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fileferry.index.connection import close_writer, damaged, is_corruption, is_passing, unwritable

if TYPE_CHECKING:
    from fileferry.index.whereabouts import Whereabouts

T = TypeVar("T")
GROUP = 64
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0

Job = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]


class Writer(Protocol):
    """Whoever may change the index."""

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue `work`; the future is done when its transaction is on the disk."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` and return when its transaction is on the disk."""

    def close(self) -> None:
        """Finish what is queued, then close the index."""


class Patience:
    """How long a writer waits for a disk that takes nothing.

    Args:
        seconds: before it gives up and raises IndexUnwritable; inf: until `end`.
        tell: called from the writer's thread with what is wrong, and with None when it is over.

    Attributes:
        trouble: why nothing can be written now, or None.
    """

    def __init__(
        self, seconds: float = 0.0, tell: Callable[[str | None], None] = lambda _: None
    ) -> None:
        self._seconds = seconds
        self._tell = tell
        self._ended = threading.Event()
        self.trouble: str | None = None

    def end(self) -> None:
        """Wait no more, now and later: what cannot be written at once fails."""
        self._ended.set()

    def shorten(self, seconds: float) -> None:
        """Wait at most so long from now on."""
        self._seconds = min(self._seconds, seconds)

    def wait(self, failures: int, waited: float) -> float:
        """Wait before the next try; return for how long, 0.0 when there is none."""
        if self._ended.is_set() or waited >= self._seconds:
            return 0.0
        seconds = min(FIRST_WAIT_SECONDS * 2 ** min(failures, 16), LONGEST_WAIT_SECONDS)
        return 0.0 if self._ended.wait(seconds) else seconds

    def note(self, trouble: str | None) -> None:
        """Note what is wrong, or that nothing is; tell it once."""
        if (self.trouble is None) != (trouble is None):
            self._tell(trouble)
        self.trouble = trouble


class ThreadWriter:
    """A Writer with a thread of its own, which alone touches the connection.

    Args:
        connection: to the index.
        patience: how long to wait for a disk that takes nothing; not at all by default.
        whereabouts: where the index has to stay; None: it is not looked after.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        patience: Patience | None = None,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        self._connection = connection
        self._patience = patience or Patience()
        self._whereabouts = whereabouts
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
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
        """Finish what is queued, as far as the disk takes it at once; then close the index."""
        self._patience.end()
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
            commit_group(
                self._connection,
                [job for job in group if job is not None],
                self._patience,
                self._whereabouts,
            )
            if group[-1] is None:
                return


class InlineWriter:
    """A Writer that works in the caller's thread: for commands without a loop, and for simulations."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Do `work` now; the future is done."""
        future: Future[T] = Future()
        commit_group(self._connection, [(work, future)], Patience())
        return future

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` now."""
        return self.submit(work).result()

    def close(self) -> None:
        """Close the index."""
        close_writer(self._connection)


def commit_group(
    connection: sqlite3.Connection,
    jobs: list[Job],
    patience: Patience,
    whereabouts: Whereabouts | None = None,
) -> None:
    """Do all jobs in one transaction, each in a savepoint, and answer them after the commit.

    A job that raises is undone alone. When the disk takes nothing, all are done again after a while; when it has
    taken nothing for too long, or the index is damaged or gone, all of them fail.
    """
    jobs = [job for job in jobs if job[1].set_running_or_notify_cancel()]
    if not jobs:
        return
    failures, waited = 0, 0.0
    while True:
        if _is_gone(whereabouts, jobs):
            return
        try:
            answers = _attempt(connection, jobs)
        except sqlite3.Error as error:
            _roll_back(connection)
            if is_passing(error):
                patience.note(str(error))
                if wait := patience.wait(failures, waited):
                    failures, waited = failures + 1, waited + wait
                    continue
            for _, future in jobs:
                future.set_exception(_explained(connection, error))
            return
        patience.note(None)
        break
    for (_, future), (result, failure) in zip(jobs, answers, strict=True):
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)


def _is_gone(whereabouts: Whereabouts | None, jobs: list[Job]) -> bool:
    """Fail all jobs where the index is not at its place any more; say whether that was so."""
    gone = None if whereabouts is None else whereabouts.trouble()
    if gone is None:
        return False
    for _, future in jobs:
        future.set_exception(gone)
    return True


def _attempt(
    connection: sqlite3.Connection, jobs: list[Job]
) -> list[tuple[Any, BaseException | None]]:
    answers: list[tuple[Any, BaseException | None]] = []
    connection.execute("BEGIN IMMEDIATE")
    for work, _ in jobs:
        connection.execute("SAVEPOINT job")
        try:
            answers.append((work(connection), None))
        except Exception as error:  # whatever it is goes to whoever asked
            if isinstance(error, sqlite3.Error) and (is_passing(error) or is_corruption(error)):
                raise  # SQLite may have rolled back all of it, the savepoint too
            connection.execute("ROLLBACK TO job")
            answers.append((None, error))
        connection.execute("RELEASE job")
    connection.execute("COMMIT")
    return answers


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _explained(connection: sqlite3.Connection, error: sqlite3.Error) -> Exception:
    explained: Exception = error
    if is_passing(error):
        explained = unwritable(error)
    elif is_corruption(error):
        explained = damaged(connection, error)
    explained.__cause__ = None if explained is error else error
    return explained
