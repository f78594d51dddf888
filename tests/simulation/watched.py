"""The borders of an engine, watched: each call across one is a point at which the process may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import httpx2

from emulator_inprocess import EmulatorTransport
from fileferry.daemon.logs import Log
from fileferry.daemon.workers import InlineWorkers
from simulation.fate import Crash

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from fileferry.index.writer import InlineWriter
    from simulation.world import World


OK = 200


class WatchedWriter:
    """A Writer whose commits are points, may find the disk full, and are watched."""

    def __init__(self, world: World, inner: InlineWriter) -> None:
        self._world = world
        self._inner = inner
        self.connection: sqlite3.Connection = inner._connection

    def submit(self, work: Callable[[sqlite3.Connection], Any]) -> Future[Any]:
        """Do `work` now."""
        world = self._world
        world.point("before a transaction")
        if world.plan.full_commits > 0:
            world.plan.full_commits -= 1
            world.tell("disk full")
            world.figures.lost_answers += self._forgets_an_answer()

            def work(_db: sqlite3.Connection) -> None:
                raise sqlite3.OperationalError("database or disk is full")

        def watched(db: sqlite3.Connection) -> Any:
            result = work(db)
            world.point("before a commit")
            return result

        future = self._inner.submit(watched)
        world.on_commit(self.connection)
        self._forgets_an_answer()
        world.point("after a commit")
        return future

    async def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do `work` soon, as a thread would."""
        if self._world.is_dead:
            raise Crash("before a transaction")
        await self._world.breathe()
        future = self.submit(work)
        await self._world.breathe()
        return future.result()

    def _forgets_an_answer(self) -> bool:
        """Take note that the answer that a task has got is written down, or is not; say whether there was one."""
        task = asyncio.current_task()
        had_one = task in self._world.answered
        self._world.answered.discard(task)
        return had_one

    def count_open_intents(self) -> int:
        """Return how many uploads are in flight: each may have an answer that nobody will hear."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        return int(
            self.connection.execute("SELECT count(*) FROM intent WHERE state = 'open'").fetchone()[
                0
            ]
        )

    def close(self) -> None:
        """Close the index in order."""
        self._inner.close()

    def drop(self) -> None:
        """Close it as the kernel does for a killed process: what was not committed is lost."""
        with contextlib.suppress(sqlite3.ProgrammingError):
            self.connection.close()


class WatchedWorkers(InlineWorkers):
    """Workers whose work takes a moment, and is a point."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `work` soon, as a thread would."""
        world = self._world
        world.point("before work")
        await world.breathe()
        if world.plan.slow_work > 0:
            world.plan.slow_work -= 1
            world.tell("a disk hangs")
            await asyncio.sleep(60.0)
        result = work(*args, **kwargs)
        await world.breathe()
        world.point("after work")
        return result


class WatchedTransport(EmulatorTransport):
    """The way to the emulator; both ends of it are points."""

    def __init__(self, world: World) -> None:
        super().__init__(world.app)
        self._world = world

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        world = self._world
        world.point("before a request")
        creates = world.figures.creates
        what = f"{request.method} {request.url.path}"
        try:
            response = await super().handle_async_request(request)
        except httpx2.HTTPError as error:
            world.tell(f"{what}: {type(error).__name__}")
            world.figures.lost_answers += world.figures.creates > creates
            raise
        world.tell(f"{what}: {response.status_code}")
        if world.plan.dies_unheard is not None and world.figures.creates > creates:
            world.plan.slow_work = world.plan.dies_unheard
            world.plan.dies_unheard = None
            world.die("the answer to an upload")
        if creates < world.figures.creates and response.status_code == OK:
            world.answered.add(asyncio.current_task())
        world.point("after a request")
        return response


class TraceLog(Log):
    """A log that goes into the trace; what should never be logged is objected to."""

    CRASHES = frozenset(
        {"survey_crashed", "upload_crashed", "read_crashed", "audit_crashed", "tidy_crashed"}
    )

    def __init__(self, world: World) -> None:
        super().__init__("debug")
        self._world = world

    def _log(self, level: str, event: str, facts: dict[str, Any]) -> None:
        shown = {key: value for key, value in facts.items() if key not in {"ms", "exc_info"}}
        home = self._world.home
        self._world.tell(f"{level} {event} {shown}".replace(home, ""))
        if event in self.CRASHES:
            error = facts.get("exc_info")
            error = sys.exc_info()[1] if error is True else error
            expected = isinstance(error, sqlite3.OperationalError | OSError)
            if not (expected and self._world.expected_errors):
                self._world.object("no task crashes", f"{event}: {error!r}")
