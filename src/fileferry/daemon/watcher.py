"""Events as hints: watchdog tells where to look, and this module knows what watchdog does not see.

Each folder is `ok` (every directory is watched), `degraded` (some are not, or events were lost a moment ago), or
`polling` (no events come from there). What is not `ok` is scanned more often. An overflow marks everything.
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver
from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyFD, Mask

from fileferry.local import watch_coverage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchdog.observers.api import ObservedWatch
    from watchdog.observers.inotify_c import InotifyEvent, WatchDescriptor

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.lookout import Lookout
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.workers import Workers

EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,  # without it, new directories are not watched
    DirMovedEvent,
    DirDeletedEvent,
]
UNSEEN_RESCAN_SECONDS = 60.0
TEND_SECONDS = 5.0
ANSWER_SECONDS = 5.0


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
        self._pending: deque[tuple[int, bytes]] = deque()
        self._scheduled = False
        self._tend_at = 0.0
        self._tending: dict[int, asyncio.Task[None]] = {}
        self._arming = threading.Lock()  # one at a time: what each gains is counted
        self._observer = InotifyObserver()
        self.coverage: dict[int, Coverage] = dict.fromkeys(mirrors, Coverage.POLLING)
        self.overflows = 0
        # It reports each race of a new directory with a warning of ten kilobytes.
        warnings.filterwarnings("ignore", module="watchdog")

    def start(self) -> None:
        """Begin to listen; watches come with the first `tend`."""
        self._observer.start()

    def stop(self) -> None:
        """Stop listening."""
        self._observer.stop()
        self._observer.join(timeout=2.0)

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
        for folder_id in self._mirrors:
            if self.coverage[folder_id] is not Coverage.OK:
                self._lookout.rescan_within(folder_id, UNSEEN_RESCAN_SECONDS)

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
            self._disarm(folder_id)
            return
        armed = self._armed.get(folder_id)
        if armed is not None:
            same = (armed.inode, armed.device) == (status.st_ino, status.st_dev)
            if same and self._is_alive(armed):
                return
            self._log.warning("watch_lost", folder=mirror.folder.name)
            self._disarm(folder_id)
        if watch_coverage.sends_events(root):
            with self._arming:
                self._arm(folder_id, mirror, status)

    def _arm(self, folder_id: int, mirror: Mirror, status: os.stat_result) -> None:
        root = os.fsdecode(mirror.folder.root)
        needed = watch_coverage.count_directories(mirror.folder.root)
        before = watch_coverage.kernel_watches()
        try:
            watch = self._observer.schedule(
                _Handler(self, folder_id, mirror.folder.root),
                root,
                recursive=True,
                event_filter=EVENTS,
            )
            InotifyFD.get_instance().add_callback(
                mirror.folder.root,
                Mask(InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_ONLYDIR),
                _OverflowBell(self),
                CallbackId(id(self)),
            )
        except OSError as error:
            self.coverage[folder_id] = Coverage.POLLING
            self._log.warning(
                "watch_refused", folder=mirror.folder.name, error=str(error), hint=_cure(needed)
            )
            return
        self._armed[folder_id] = Armed(watch, status.st_ino, status.st_dev)
        gained = watch_coverage.kernel_watches() - before
        covered = gained >= needed or watch_coverage.count_directories(mirror.folder.root) <= gained
        self.coverage[folder_id] = Coverage.OK if covered else Coverage.DEGRADED
        if not covered:
            self._log.warning(
                "watch_incomplete",
                folder=mirror.folder.name,
                directories=needed,
                watched=gained,
                hint=_cure(needed),
            )
        self._loop.call_soon_threadsafe(self._lookout.mark, folder_id)

    def _disarm(self, folder_id: int) -> None:
        armed = self._armed.pop(folder_id, None)
        self.coverage[folder_id] = Coverage.POLLING
        if armed is not None:
            try:
                self._observer.unschedule(armed.watch)
            except (KeyError, OSError) as error:
                self._log.debug("unschedule_failed", error=str(error))

    def _is_alive(self, armed: Armed) -> bool:
        return any(
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


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: Watcher, folder_id: int, root: bytes) -> None:
        self._watcher = watcher
        self._folder_id = folder_id
        self._prefix = root.rstrip(b"/") + b"/"
        self._root = root

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on where something happened."""
        for path in (os.fsencode(event.src_path), os.fsencode(event.dest_path)):
            if path == self._root:
                self._watcher.notice(self._folder_id, b"")
            elif path.startswith(self._prefix):
                self._watcher.notice(self._folder_id, path[len(self._prefix) :])


class _OverflowBell:
    """A callback of watchdog's inotify reader that only listens for lost events."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_event(self, event: InotifyEvent) -> None:
        """Not of interest here."""

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Not of interest here."""

    def on_queue_overflow(self) -> None:
        """Events were lost."""
        self._watcher.overflowed()


def _cure(needed: int) -> str:
    limit = watch_coverage.watch_limit()
    wanted = max(2 * needed, 524_288, 2 * (limit or 0))
    return f"sysctl fs.inotify.max_user_watches={wanted}"
