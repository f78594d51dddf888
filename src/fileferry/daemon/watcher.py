"""Events as hints: watchdog tells where to look, and this module knows what watchdog does not see.

Each folder is `ok` (every directory is watched), `degraded` (some are not, or events were lost a moment ago), or
`polling` (no events come from there). What is not `ok` is scanned more often. An overflow marks everything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import warnings
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter

from fileferry.daemon.events import EVENTS, EventQueue, Hints
from fileferry.local import watch_coverage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchdog.observers.api import ObservedWatch

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.lookout import Lookout
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.workers import Workers

UNSEEN_RESCAN_SECONDS = 60.0
TEND_SECONDS = 5.0
ANSWER_SECONDS = 5.0
RECOUNT_SECONDS = 60.0
RECOUNT_SHARE = 50  # counting directories may take a fiftieth of the time


class Coverage(StrEnum):
    """How much of a folder is watched."""

    OK = "ok"
    DEGRADED = "degraded"
    POLLING = "polling"


@dataclass(slots=True)
class Armed:
    """A folder with a watch on it."""

    watch: ObservedWatch
    inode: int
    device: int


class Watcher:
    """Marks what events name, and looks after its own watches.

    Attributes:
        coverage: of each folder, by the id of its row.
        overflows: how often the kernel lost events since the start.
    """

    def __init__(
        self,
        mirrors: Mapping[int, Mirror],
        lookout: Lookout,
        *,
        workers: Workers,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._mirrors = mirrors
        self._lookout = lookout
        self._workers = workers
        self._clock = clock
        self._loop = loop
        self._log = log
        self._armed: dict[int, Armed] = {}
        self._refused: set[int] = set()
        self._pending: deque[tuple[int, bytes]] = deque()
        self._scheduled = False
        self._tend_at = 0.0
        self._tending: dict[int, asyncio.Task[None]] = {}
        self._is_short = (
            False  # the kernel watches fewer directories than there are, and that was told
        )
        self._arming = threading.Lock()  # one at a time: what each gains is counted
        self._recount_at = 0.0
        self._queue = self._open_queue()
        self._observer: BaseObserver | None = (
            None if self._queue is None else BaseObserver(InotifyEmitter, inotify_fd=self._queue)
        )
        self.coverage: dict[int, Coverage] = dict.fromkeys(mirrors, Coverage.POLLING)
        self.overflows = 0
        # It reports each race of a new directory with a warning of ten kilobytes, and losses in lines of its own form.
        warnings.filterwarnings("ignore", module="watchdog")
        logger = logging.getLogger("watchdog")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False

    def start(self) -> None:
        """Begin to listen; watches come with the first `tend`."""
        if self._queue is not None and self._observer is not None:
            self._queue.start()
            self._observer.start()

    def stop(self) -> None:
        """Stop listening."""
        for thread in (self._observer, self._queue):
            if thread is not None:
                thread.stop()
                thread.join(timeout=2.0)

    async def tend(self) -> None:
        """Watch what can be watched and is not; notice watches that died. Cheap when nothing changed.

        A disk that does not answer is waited for once, and then left to answer when it can.
        """
        now = self._clock.monotonic()
        if now < self._tend_at:
            return
        self._tend_at = now + TEND_SECONDS
        begun = []
        for folder_id, mirror in self._mirrors.items():
            if folder_id not in self._tending:
                task = asyncio.create_task(self._workers.run_apart(self._tend, folder_id, mirror))
                self._tending[folder_id] = task
                task.add_done_callback(partial(self._tended, folder_id))
                begun.append(task)
        if begun:
            await asyncio.wait(begun, timeout=ANSWER_SECONDS)
        if now >= self._recount_at:
            await self._recount(now)
        for folder_id in self._mirrors:
            if self.coverage[folder_id] is not Coverage.OK:
                self._lookout.rescan_within(folder_id, UNSEEN_RESCAN_SECONDS)

    async def _recount(self, now: float) -> None:
        """Notice directories that came since a folder was armed, and that the kernel would not watch."""
        armed = [self._mirrors[folder_id].folder.root for folder_id in sorted(self._armed)]
        counting = asyncio.ensure_future(self._workers.run_apart(_count, armed))
        await asyncio.wait({counting}, timeout=ANSWER_SECONDS)
        took = self._clock.monotonic() - now
        self._recount_at = now + max(RECOUNT_SECONDS, RECOUNT_SHARE * took)
        if not counting.done():
            counting.cancel()
            return
        watched, needed = counting.result()
        for folder_id in self._armed:
            self.coverage[folder_id] = Coverage.OK if watched >= needed else Coverage.DEGRADED
        if watched < needed and not self._is_short:
            self._log.warning(
                "watch_incomplete", directories=needed, watched=watched, hint=_cure(needed)
            )
        self._is_short = watched < needed

    def _tended(self, folder_id: int, task: asyncio.Task[None]) -> None:
        self._tending.pop(folder_id, None)
        if not task.cancelled() and task.exception() is not None:
            self.coverage[folder_id] = Coverage.POLLING
            self._log.error("watch_failed", exc_info=task.exception())

    def _tend(self, folder_id: int, mirror: Mirror) -> None:
        root = mirror.folder.root
        try:
            status = os.stat(root)
        except OSError:
            if folder_id in self._armed:
                # Events end with the root: a scan has to say what became of it, and soon.
                self._loop.call_soon_threadsafe(self._lookout.mark, folder_id)
            with self._arming:
                self._disarm(folder_id)
            return
        armed = self._armed.get(folder_id)
        if armed is not None:
            same = (armed.inode, armed.device) == (status.st_ino, status.st_dev)
            if same and self._is_alive(armed):
                return
            self._log.warning("watch_lost", folder=mirror.folder.name)
            with self._arming:
                self._disarm(folder_id)
        if self._observer is not None and watch_coverage.sends_events(root):
            with self._arming:
                self._arm(folder_id, mirror, status)

    def _arm(self, folder_id: int, mirror: Mirror, status: os.stat_result) -> None:
        root = os.fsdecode(mirror.folder.root)
        beside = [self._mirrors[one].folder.root for one in self._armed]
        needed = watch_coverage.needed_besides(mirror.folder.root, beside)
        before = watch_coverage.kernel_watches()
        assert self._observer is not None
        try:
            watch = self._observer.schedule(
                Hints(self.notice, folder_id, mirror.folder.root),
                root,
                recursive=True,
                event_filter=EVENTS,
            )
        except OSError as error:
            self.coverage[folder_id] = Coverage.POLLING
            # Tried again and again, told once.
            log = self._log.debug if folder_id in self._refused else self._log.warning
            log(
                "watch_refused",
                folder=mirror.folder.name,
                directories=needed,
                error=str(error),
                hint=_cure(needed),
            )
            self._refused.add(folder_id)
            return
        self._refused.discard(folder_id)
        self._armed[folder_id] = Armed(watch, status.st_ino, status.st_dev)
        gained = watch_coverage.kernel_watches() - before
        covered = (
            gained >= needed or watch_coverage.needed_besides(mirror.folder.root, beside) <= gained
        )
        # What lies inside one another shares its watches, and a shortage: the next count of all tells when it ended.
        shared = covered and not self._is_short_beside(mirror.folder.root)
        self.coverage[folder_id] = Coverage.OK if shared else Coverage.DEGRADED
        if not covered:
            self._is_short = True
            self._log.warning(
                "watch_incomplete",
                folder=mirror.folder.name,
                directories=needed,
                watched=gained,
                hint=_cure(needed),
            )
        self._loop.call_soon_threadsafe(self._lookout.mark, folder_id)

    def _is_short_beside(self, root: bytes) -> bool:
        """Say whether a folder that contains a root, or lies in it, is watched in part."""
        return any(
            self.coverage[one] is Coverage.DEGRADED
            and watch_coverage.are_nested(self._mirrors[one].folder.root, root)
            for one in self._armed
        )

    def _disarm(self, folder_id: int) -> None:
        armed = self._armed.pop(folder_id, None)
        self.coverage[folder_id] = Coverage.POLLING
        if armed is not None and self._observer is not None:
            try:
                self._observer.unschedule(armed.watch)
            except (KeyError, OSError) as error:
                self._log.debug("unschedule_failed", error=str(error))

    def _open_queue(self) -> EventQueue | None:
        try:
            return EventQueue(self.overflowed)
        except OSError as error:
            self._log.warning(
                "watch_refused", error=str(error), hint="sysctl fs.inotify.max_user_instances=1024"
            )
            return None

    def _is_alive(self, armed: Armed) -> bool:
        return self._observer is not None and any(
            emitter.watch == armed.watch and emitter.is_alive()
            for emitter in list(self._observer.emitters)
        )

    # From watchdog's threads:

    def notice(self, folder_id: int, path: bytes) -> None:
        """Take a hint; many of them make one call into the loop."""
        self._pending.append((folder_id, path))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._flush)

    def overflowed(self) -> None:
        """The kernel lost events: anything may have changed."""
        self._loop.call_soon_threadsafe(self._overflowed)

    def _flush(self) -> None:
        self._scheduled = False
        while self._pending:
            folder_id, path = self._pending.popleft()
            self._lookout.mark(folder_id, path)

    def _overflowed(self) -> None:
        self.overflows += 1
        self._log.warning("watch_overflow", overflows=self.overflows)
        self._lookout.mark_all()


def _count(roots: list[bytes]) -> tuple[int, int]:
    """Return how many directories the kernel watches, and how many there are."""
    return watch_coverage.kernel_watches(), watch_coverage.count_all(roots)


def _cure(needed: int) -> str:
    limit = watch_coverage.watch_limit()
    wanted = max(2 * needed, 524_288, 2 * (limit or 0))
    return f"sysctl fs.inotify.max_user_watches={wanted}"
