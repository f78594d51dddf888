"""Housekeeping of a running daemon's index, beside its work and never in its way."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from fileferry.daemon import backups, custody
from fileferry.daemon.workers import ThreadWorkers
from fileferry.errors import FerryError

if TYPE_CHECKING:
    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log

FIRST_AFTER_SECONDS = 2.0
EVERY_SECONDS = 60.0
ALARMING_LOG_BYTES = 64 * 1024**2


class Upkeep:
    """Copies the index, notes how far it has come and keeps its log short, in a thread of its own.

    Args:
        state_directory: where the index is.
        clock, log: collaborators.
    """

    def __init__(self, state_directory: str, *, clock: Clock, log: Log) -> None:
        self._state_directory = state_directory
        self._clock = clock
        self._log = log
        self._workers = ThreadWorkers(1)
        self._due_at = clock.monotonic() + FIRST_AFTER_SECONDS
        self._task: asyncio.Task[None] | None = None
        self._alarmed = False

    def tend(self) -> None:
        """Begin what is due, unless it is still going on."""
        if self._task is not None or self._clock.monotonic() < self._due_at:
            return
        self._due_at = self._clock.monotonic() + EVERY_SECONDS
        self._task = asyncio.create_task(self._tend())

    async def stop(self) -> None:
        """Let what is going on end: a copy is whole or not there."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._workers.close()

    async def _tend(self) -> None:
        try:
            left = await self._workers.run(backups.shorten_log, self._state_directory)
            if (left > ALARMING_LOG_BYTES) and not self._alarmed:
                self._log.warning(
                    "long_log", bytes=left, hint="a program reads the index without an end"
                )
            self._alarmed = left > ALARMING_LOG_BYTES
            await self._workers.run(custody.mark, self._state_directory)
            now = self._clock.wall()
            if await self._workers.run(backups.is_copy_due, self._state_directory, now):
                path = await self._workers.run(backups.make_copy, self._state_directory)
                self._log.info("index_copied" if path else "no_room_for_a_copy", path=path)
        except (OSError, sqlite3.Error, FerryError) as error:
            self._log.warning("upkeep_failed", error=str(error))
        finally:
            self._task = None
