"""What is due is read: each folder in threads of its own, so that a disk that is slow or hangs holds up nobody else."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from fileferry.daemon.inspection import LONG_READ_BYTES, inspect_all
from fileferry.daemon.placing import Placed, place_all
from fileferry.index import entries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.lookout import Lookout
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.progress import Progress
    from fileferry.daemon.workers import Workers
    from fileferry.index.writer import Writer
    from fileferry.model import Entry

BATCH = 256
LONG_AT_ONCE = 4
PATIENCE_SECONDS = 20.0

Work = list[tuple["Mirror", "Entry"]]


class Readings:
    """Reads what the index says is due, and places it.

    Args:
        mirrors, lookout, writer, workers, clock, progress, log: collaborators.
        multipart: whether files over 512 MB have a way.

    Attributes:
        server_now: the server's wall clock, as far as known.
        on_end: called when a reading that nobody waited for has ended.
    """

    def __init__(
        self,
        mirrors: Mapping[int, Mirror],
        lookout: Lookout,
        *,
        writer: Writer,
        workers: Workers,
        clock: Clock,
        progress: Progress,
        log: Log,
        multipart: bool,
    ) -> None:
        self._mirrors = mirrors
        self._lookout = lookout
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._progress = progress
        self._log = log
        self._multipart = multipart
        self._short: dict[int, asyncio.Task[None]] = {}
        self._long: dict[asyncio.Task[None], tuple[int, bytes]] = {}
        self._long_slots: dict[int, asyncio.Semaphore] = {}
        self.server_now: Callable[[], float] = clock.wall
        self.on_end: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """Say whether files are being read, in folders that answer."""
        reading = {*self._short, *(folder_id for folder_id, _ in self._long.values())}
        return bool(reading - self._lookout.hanging)

    async def read_due(self, placed: Placed) -> bool:
        """Read a batch of what is due, and begin with what takes long; return whether there was anything.

        Args:
            placed: what became of the batch is added to it.
        """
        batch = await self._due()
        short: dict[int, Work] = defaultdict(list)
        for mirror, entry in batch:
            if entry.stamp.size > LONG_READ_BYTES:
                self._begin_long(mirror, entry)
            else:
                short[mirror.folder_id].append((mirror, entry))
        if short:
            await self._read_short(short, placed)
        return bool(batch)

    async def stop(self) -> None:
        """Place nothing more, and do not wait for disks."""
        tasks = [*self._short.values(), *self._long]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _due(self) -> Work:
        now = self._clock.wall()
        limit = BATCH + len(self._long)
        without = frozenset(self._short)
        rows = await self._writer.run(
            lambda db: entries.due(db, now=now, limit=limit, without=without)
        )
        reading = set(self._long.values())
        return [
            (self._mirrors[entry.folder_id], entry)
            for entry in rows
            if entry.folder_id in self._mirrors and (entry.folder_id, entry.path) not in reading
        ]

    async def _read_short(self, short: Mapping[int, Work], placed: Placed) -> None:
        for folder_id, work in short.items():
            self._short[folder_id] = asyncio.create_task(self._read(work, placed))
        tasks = {folder_id: self._short[folder_id] for folder_id in short}
        await asyncio.wait(tasks.values(), timeout=PATIENCE_SECONDS)
        for folder_id, task in tasks.items():
            if task.done():
                del self._short[folder_id]
                task.result()
            else:
                task.add_done_callback(partial(self._ended_late, folder_id))
                await self._lookout.prove(self._mirrors[folder_id])

    def _begin_long(self, mirror: Mirror, entry: Entry) -> None:
        slots = self._long_slots.setdefault(mirror.folder_id, asyncio.Semaphore(LONG_AT_ONCE))

        async def read() -> None:
            async with slots:
                await self._read([(mirror, entry)], Placed())

        task = asyncio.create_task(read())
        self._long[task] = (mirror.folder_id, entry.path)
        task.add_done_callback(self._ended_long)

    def _ended_late(self, folder_id: int, task: asyncio.Task[None]) -> None:
        self._short.pop(folder_id, None)
        self._ended(task)

    def _ended_long(self, task: asyncio.Task[None]) -> None:
        self._long.pop(task, None)
        self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._log.error("read_crashed", exc_info=task.exception())
        self.on_end()

    async def _read(self, work: Work, placed: Placed) -> None:
        found = await self._workers.run_apart(
            inspect_all, work, self._clock.wall, multipart=self._multipart
        )
        now, server_now = self._clock.wall(), self.server_now()
        result = await self._writer.run(
            lambda db: place_all(
                db, found, now=now, server_now=server_now, multipart=self._multipart
            )
        )
        placed.add(result)
        self._progress.linked += result.linked
