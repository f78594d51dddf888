"""The uploads in flight: takes what is due from the index, keeps a bounded number of them going.

What goes in parts has a lane of its own, one file at a time: side by side they would share the line, and none would
be through in its hour; and small files do not wait for large ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from fileferry.errors import CredentialsRefused, FerryError, QuotaExhausted
from fileferry.index import intents, wants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fileferry.clock import Clock
    from fileferry.daemon.executor import Executor
    from fileferry.daemon.logs import Log
    from fileferry.daemon.renewal import RenewalPlan
    from fileferry.index.contents import Want
    from fileferry.index.writer import Writer

CHUNK = 128
LEAST_CHUNK = 16
CHUNK_SECONDS = 10.0  # what is taken is out of order as soon as something more urgent falls due
REFUSED_SECONDS = 300.0


class Uploads:
    """Runs `Executor.upload` for whatever is due, `concurrency` at a time.

    Args:
        executor: sends one.
        plan: says what is renewed before it is due.
        writer: whom to ask what is due.
        clock: wall time.
        concurrency: how many at once.
        wake: called when one ended.
    """

    def __init__(
        self,
        executor: Executor,
        plan: RenewalPlan,
        *,
        writer: Writer,
        clock: Clock,
        concurrency: int,
        wake: Callable[[], None],
        log: Log,
    ) -> None:
        self._executor = executor
        self._plan = plan
        self._writer = writer
        self._clock = clock
        self._concurrency = concurrency
        self._wake = wake
        self._log = log
        self._queue: deque[Want] = deque()
        self._large: deque[Want] = deque()
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._large_task: asyncio.Task[None] | None = None
        self._blocked_until = 0.0
        self._has_crashed = False
        self.refused: FerryError | None = None

    @property
    def busy(self) -> bool:
        """Say whether anything is queued or in flight."""
        return bool(self._queue or self._large or self._tasks)

    @property
    def busy_with_small(self) -> bool:
        """Say whether anything but what goes in parts is queued or in flight."""
        return bool(self._queue) or self._count_small() > 0

    async def refill(self, ready: Callable[[], Awaitable[bool]]) -> None:
        """Take what is due and start as much of it as there is room for.

        Args:
            ready: asked before the first upload of an idle time: whether the remote may be used at all.
        """
        if self._clock.monotonic() < self._blocked_until:
            return
        if len(self._queue) < self._concurrency:
            await self._fetch()
        if (self._queue or self._large) and not await ready():
            self._clear()
            return
        self._start()

    def unblock(self) -> None:
        """Forget that the API refused us: somebody asks to try again."""
        self._blocked_until = 0.0
        self.refused = None

    async def stop(self, grace_seconds: float) -> None:
        """Start nothing more; let what is in flight end, for so long, then cut it off."""
        self._clear()
        self._blocked_until = float("inf")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fetch(self) -> None:
        queued = [want.content_id for want in (*self._queue, *self._large)]
        busy = frozenset([*self._tasks.values(), *queued])
        now = self._clock.wall()
        early = await self._plan.ahead()
        server_now = self._executor.server_now()
        if self._has_crashed:
            # Its intent may still be open: what became of that upload is for the audit to find out.
            await self._writer.run(lambda db: intents.give_up_others(db, sending=busy, now=now))
            self._has_crashed = False
        due = await self._writer.run(
            lambda db: wants.due(
                db,
                now=now,
                server_now=server_now,
                limit=chunk_of(self._plan.rate),
                busy=busy,
                early_until=early.until,
                early_share=early.share,
            )
        )
        for want in due:
            in_parts = self._executor.large.ways.takes_parts(want.key)
            (self._large if in_parts else self._queue).append(want)

    def _clear(self) -> None:
        self._queue.clear()
        self._large.clear()

    def _start(self) -> None:
        if self._large and self._large_task is None:
            self._large_task = self._begin(self._large.popleft())
        while self._queue and self._count_small() < self._concurrency:
            self._begin(self._queue.popleft())

    def _count_small(self) -> int:
        return len(self._tasks) - (self._large_task is not None)

    def _begin(self, want: Want) -> asyncio.Task[None]:
        task = asyncio.create_task(self._executor.upload(want), name=f"upload {want.content_id}")
        self._tasks[task] = want.content_id
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if task is self._large_task:
            self._large_task = None
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, CredentialsRefused | QuotaExhausted):
                self._clear()
                self._blocked_until = self._clock.monotonic() + REFUSED_SECONDS
                self.refused = error
            elif error is not None:
                self._clear()
                self._has_crashed = True
                self._blocked_until = self._clock.monotonic() + 1.0
                self._log.error("upload_crashed", exc_info=error)
            else:
                self._start()
        if len(self._queue) < self._concurrency:
            self._wake()


def chunk_of(rate: float) -> int:
    """Return how many to take from the index at once: what can be sent in a few seconds at this rate."""
    return round(min(max(rate * CHUNK_SECONDS, LEAST_CHUNK), CHUNK))
