"""The uploads in flight: takes what is due from the index, keeps a bounded number of them going."""

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
REFUSED_SECONDS = 300.0


class Uploads:
    """Runs `Executor.upload` for whatever is due, `concurrency` at a time.

    Args:
        executor: sends one.
        plan: says up to when renewals are due.
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
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._blocked_until = 0.0
        self._has_crashed = False
        self.refused: FerryError | None = None

    @property
    def busy(self) -> bool:
        """Say whether anything is queued or in flight."""
        return bool(self._queue or self._tasks)

    async def refill(self, ready: Callable[[], Awaitable[bool]]) -> None:
        """Take what is due and start as much of it as there is room for.

        Args:
            ready: asked before the first upload of an idle time: whether the remote may be used at all.
        """
        if self._clock.monotonic() < self._blocked_until:
            return
        if len(self._queue) < self._concurrency:
            await self._fetch()
        if self._queue and not await ready():
            self._queue.clear()
            return
        self._start()

    def unblock(self) -> None:
        """Forget that the API refused us: somebody asks to try again."""
        self._blocked_until = 0.0
        self.refused = None

    async def stop(self, grace_seconds: float) -> None:
        """Start nothing more; let what is in flight end, for so long, then cut it off."""
        self._queue.clear()
        self._blocked_until = float("inf")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fetch(self) -> None:
        busy = frozenset([*self._tasks.values(), *(want.content_id for want in self._queue)])
        now = self._clock.wall()
        renew_before = await self._plan.before()
        if self._has_crashed:
            # Its intent may still be open: what became of that upload is for the audit to find out.
            await self._writer.run(lambda db: intents.give_up_others(db, sending=busy, now=now))
            self._has_crashed = False
        self._queue.extend(
            await self._writer.run(
                lambda db: wants.due(db, now=now, renew_before=renew_before, limit=CHUNK, busy=busy)
            )
        )

    def _start(self) -> None:
        while self._queue and len(self._tasks) < self._concurrency:
            want = self._queue.popleft()
            task = asyncio.create_task(
                self._executor.upload(want), name=f"upload {want.content_id}"
            )
            self._tasks[task] = want.content_id
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, CredentialsRefused | QuotaExhausted):
                self._queue.clear()
                self._blocked_until = self._clock.monotonic() + REFUSED_SECONDS
                self.refused = error
            elif error is not None:
                self._queue.clear()
                self._has_crashed = True
                self._blocked_until = self._clock.monotonic() + 1.0
                self._log.error("upload_crashed", exc_info=error)
            else:
                self._start()
        if len(self._queue) < self._concurrency:
            self._wake()
