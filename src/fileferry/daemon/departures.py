"""What leaves: paths that are gone, after the guard has spoken, and the remote files that nothing points at any more.

Last of all in a pass, never while something might still turn out to be a rename, and never on the word of a root
that was not proven a moment ago.
"""

from __future__ import annotations

import asyncio
import stat
from functools import partial
from typing import TYPE_CHECKING

from fileferry.errors import RemoteError, SourceGone, SourceUnreadable
from fileferry.index import entries, folders, holds, leaving
from fileferry.local.reader import glance
from fileferry.plan import guard

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.lookout import Lookout
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.workers import Workers
    from fileferry.index.leaving import Absences, Leaving
    from fileferry.index.writer import Writer

CHUNK = 500
DELETES_AT_ONCE = 8  # few, so that a pass is not held up by the pace of deletes
LOOK_AGAIN_SECONDS = 0.25
ANSWER_SECONDS = 20.0
JUMP_SECONDS = 5.0


class Departures:
    """Lets paths go and remote files be deleted.

    Args:
        lookout: proves roots, and scans when a delete waits for that.
        scan_for_deletes: have folders scanned when a due delete needs a younger scan (the daemon does, `sync` not).
    """

    look_again_seconds = LOOK_AGAIN_SECONDS

    def __init__(
        self,
        mirrors: Mapping[int, Mirror],
        lookout: Lookout,
        *,
        writer: Writer,
        workers: Workers,
        clock: Clock,
        log: Log,
        scan_for_deletes: bool,
    ) -> None:
        self._mirrors = mirrors
        self._lookout = lookout
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._log = log
        self._scan_for_deletes = scan_for_deletes
        self._drift: float | None = None  # of the wall clock against the monotonic one

    async def let_go(self, *, delete_now: bool) -> int:
        """Drop the paths that are proven gone, or hold them; return how many were dropped."""
        await self._mind_the_clock()
        if delete_now:
            now = self._clock.wall()
            await self._writer.run(lambda db: leaving.hasten(db, now=now))
        gone = 0
        for mirror in self._answering():
            absences, unread = await self._writer.run(partial(self._read, mirror=mirror))
            if absences.paths and self._quiet(mirror, absences, unread):
                gone += await self._let_go(mirror, delete_now=delete_now)
        return gone

    async def delete(
        self,
        send: Callable[[Leaving], Awaitable[None]],
        is_reachable: Callable[[], Awaitable[bool]],
    ) -> int:
        """Delete what is due and proven unused; return how many ids were deleted.

        Args:
            send: sends one DELETE.
            is_reachable: asked before an id is given up for good: until then it could still be taken back.
        """
        now = self._clock.wall()
        if not await self.ready(now):
            if self._scan_for_deletes and await self._writer.run(
                lambda db: leaving.unproven_due(db, now=now, scans_began_at=folders.oldest_scan(db))
            ):
                self._lookout.mark_all()
            return 0
        if not await is_reachable():
            return 0
        for mirror in self._answering():
            await self._lookout.prove(mirror)
        due = await self._writer.run(
            lambda db: leaving.begin_deletes(
                db, now=now, scans_began_at=folders.oldest_scan(db), limit=DELETES_AT_ONCE
            )
        )
        results = await asyncio.gather(*(send(item) for item in due), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, RemoteError):
                raise result
        return sum(result is None for result in results)

    async def _mind_the_clock(self) -> None:
        """See to it that a clock that was set back, now or before we began, does not put deletes off for long."""
        drift = self._clock.wall() - self._clock.monotonic()
        if self._drift is None or drift < self._drift - JUMP_SECONDS:
            now = self._clock.wall()
            await self._writer.run(lambda db: leaving.count_anew(db, now=now))
            self._drift = drift

    def _answering(self) -> list[Mirror]:
        """Return the folders whose disk answers; the others are halted, and ask for themselves when it does."""
        return [
            mirror
            for folder_id, mirror in self._mirrors.items()
            if folder_id not in self._lookout.hanging
        ]

    async def ready(self, now: float) -> bool:
        """Say whether a DELETE may be sent now."""
        return await self._writer.run(
            lambda db: leaving.is_due(db, now=now, scans_began_at=folders.oldest_scan(db))
        )

    def _read(self, db: sqlite3.Connection, mirror: Mirror) -> tuple[Absences, int]:
        now = self._clock.wall()
        absences = leaving.absences(db, mirror.folder_id, now=now, window=guard.WINDOW_SECONDS)
        return absences, leaving.unread(db)

    def _quiet(self, mirror: Mirror, absences: Absences, unread: int) -> bool:
        """Say whether these absences have rested, and nothing unread might be where they went."""
        now = self._clock.wall()
        oldest = min(gone.missed_at for gone in absences.paths)
        newest = max(gone.missed_at for gone in absences.paths)
        folder = mirror.folder
        if newest > now or now >= oldest + folder.settle_max_seconds:
            return True  # a clock that jumped back, or a tree that never rests
        return unread == 0 and now >= newest + folder.settle_seconds

    async def _let_go(self, mirror: Mirror, *, delete_now: bool) -> int:
        if not await self._lookout.prove(mirror):
            return 0
        absences, _ = await self._writer.run(lambda db: self._read(db, mirror))
        if not await self._looked_again(mirror, [gone.path for gone in absences.paths]):
            return 0
        absences, _ = await self._writer.run(lambda db: self._read(db, mirror))
        reason = guard.deletes_held(
            leaving=absences.leaving,
            left=absences.left,
            total=absences.total,
            budget=mirror.folder.delete_budget,
            held=absences.held,
        )
        now = self._clock.wall()
        going = [gone.path for gone in absences.paths]
        if reason is not None:
            held = [gone.path for gone in absences.paths if gone.leaves and not gone.approved]
            name = await self._writer.run(
                lambda db: holds.hold_deletes(db, mirror.folder_id, held, reason=reason, now=now)
            )
            self._log.warning(
                "deletes_held", hold=name, folder=mirror.folder.name, files=len(held), reason=reason
            )
            kept = set(held)
            going = [path for path in going if path not in kept]
        gone = 0
        for start in range(0, len(going), CHUNK):
            chunk = going[start : start + CHUNK]
            gone += await self._writer.run(
                partial(
                    leaving.let_go,
                    folder_id=mirror.folder_id,
                    paths=chunk,
                    now=now,
                    at_once=delete_now,
                )
            )
        return gone

    async def _looked_again(self, mirror: Mirror, paths: list[bytes]) -> bool:
        """Look at each path once more; say whether the disk answered for all of them."""
        looking = asyncio.ensure_future(self._workers.run_apart(self._look_again, mirror, paths))
        try:
            while not (await asyncio.wait({looking}, timeout=ANSWER_SECONDS))[0]:
                if not await self._lookout.prove(mirror):
                    return False
            looking.result()
        finally:
            looking.cancel()
        return True

    def _look_again(self, mirror: Mirror, paths: list[bytes]) -> None:
        """Look at each path once more before it is let go. Blocks."""
        back: list[bytes] = []
        dark: list[tuple[bytes, str]] = []
        for path in paths:
            try:
                status = glance(mirror.folder.root, path, follow_inside=mirror.follows)
            except SourceGone:
                continue
            except SourceUnreadable as error:
                dark.append((path, error.message))
            else:
                if stat.S_ISREG(
                    status.st_mode
                ):  # a directory in its place does not bring a file back
                    back.append(path)
        if back or dark:
            self._writer.submit(lambda db: _returned(db, mirror.folder_id, back, dark)).result()
            for path in back:
                self._lookout.mark(mirror.folder_id, path)


def _returned(
    db: sqlite3.Connection, folder_id: int, back: list[bytes], dark: list[tuple[bytes, str]]
) -> None:
    for path in back:
        entries.returned(db, folder_id, path)
    for path, reason in dark:
        entries.darkened(db, folder_id, path, reason)
