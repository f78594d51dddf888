"""Uploads in parts that nobody goes on with: cancelled, and a cancel that failed is not forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fileferry.errors import RemoteError
from fileferry.index import parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.index.writer import Writer
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace


class Cancels:
    """Cancels what the index says, and what cannot be cancelled now later.

    Args:
        remote, pace, writer, clock, log: collaborators.
        ended: called when it has done what it could.
    """

    def __init__(
        self,
        *,
        remote: Remote,
        pace: Pace,
        writer: Writer,
        clock: Clock,
        ended: Callable[[], None],
        log: Log,
    ) -> None:
        self._remote = remote
        self._pace = pace
        self._writer = writer
        self._clock = clock
        self._ended = ended
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to cancel, beside other work, unless that is under way."""
        if self._task is None:
            self._task = asyncio.create_task(self._tidy())
            self._task.add_done_callback(self._tidied)

    async def stop(self, grace_seconds: float) -> None:
        """Let the one that is under way end, for so long; what is not done is tried again by the next process."""
        if (task := self._task) is not None:
            await asyncio.wait({task}, timeout=grace_seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _tidied(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            self._log.error("tidy_crashed", exc_info=task.exception())
        self._ended()

    async def _tidy(self) -> None:
        now = self._clock.wall()
        server_now = now + self._remote.skew_seconds()

        def read(db: sqlite3.Connection) -> list[tuple[int, str, int]]:
            parts.doom_unwanted(db, server_now=server_now)
            return parts.doomed(db, now=now)

        for parcel_id, upload_id, attempts in await self._writer.run(read):
            try:
                async with self._pace.call():
                    await self._remote.cancel_upload(upload_id)
            except RemoteError as error:
                until = self._clock.wall() + self._pace.delay_seconds(attempts + 1)
                await self._writer.run(
                    lambda db, row=parcel_id, at=until: parts.cancel_failed(db, row, until=at)  # type: ignore[misc]  # defaults bind the loop's values
                )
                self._log.warning("cancel_failed", upload_id=upload_id, error=error.message)
                return
            await self._writer.run(lambda db, row=parcel_id: parts.forget(db, row))  # type: ignore[misc]  # the same
            self._log.info("upload_cancelled", upload_id=upload_id)
