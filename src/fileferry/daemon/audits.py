"""When the remote is audited: while the answer to an upload is missing, when somebody asks, and from time to time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fileferry.daemon.audit import AUDITED_KEY
from fileferry.errors import CredentialsRefused, RemoteError
from fileferry.index import folders, intents, remotes, trust
from fileferry.plan import settlement

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from fileferry.clock import Clock
    from fileferry.daemon.audit import Auditor
    from fileferry.daemon.contact import Contact
    from fileferry.daemon.logs import Log
    from fileferry.daemon.progress import Progress
    from fileferry.index.horizon import Horizon
    from fileferry.index.writer import Writer
    from fileferry.model import RemoteSettings

SPACING_SECONDS = 1.0
IDLE_SECONDS = 3_600.0
EXPIRED_SECONDS = 300.0  # between two audits because of ids that have run out


class Audits:
    """Runs the auditor, one audit at a time, beside everything else.

    Args:
        auditor: makes an audit; asked for when one is due, since it needs the remote.
        contact: says whether the remote may be used.
        settings: the check interval and the listing's lag.
        ended: called when an audit ended.
    """

    def __init__(
        self,
        auditor: Callable[[], Auditor],
        contact: Contact,
        settings: RemoteSettings,
        *,
        writer: Writer,
        clock: Clock,
        progress: Progress,
        ended: Callable[[], None],
        log: Log,
    ) -> None:
        self._auditor = auditor
        self._contact = contact
        self._settings = settings
        self._writer = writer
        self._clock = clock
        self._progress = progress
        self._ended = ended
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._expired_not_before = 0.0
        self._clears_expired = False

    @property
    def running(self) -> bool:
        """Say whether an audit is under way."""
        return self._task is not None

    async def start_if_due(self) -> None:
        """Start one when uploads are unsettled, or somebody asked, or the check interval has passed."""
        now = self._clock.monotonic()
        if self._task is not None or now < self._not_before or self._contact.open_in_seconds() > 0:
            return
        if await self._due_in() > 0 or not await self._contact.ready():
            return
        self._not_before = now + SPACING_SECONDS
        self._task = asyncio.create_task(self._run())

    async def clear_expired(self) -> bool:
        """Start one when ids have run out that still answer; say whether it is under way. The remote was greeted."""
        now = self._clock.monotonic()
        if self._task is None and now >= self._expired_not_before:
            server_now = self._contact.server_now()
            if await self._writer.run(lambda db: remotes.has_expired(db, server_now)):
                self._expired_not_before = now + EXPIRED_SECONDS
                self._clears_expired = True
                self._task = asyncio.create_task(self._run())
        return self._task is not None and self._clears_expired

    def due_in_seconds(self, ahead: Horizon) -> float:
        """Return how long none need be started, by the clock alone."""
        if ahead.unknown == 0 and not ahead.audit_asked:
            return IDLE_SECONDS
        wait = self._not_before - self._clock.monotonic()
        return wait if wait > 0 else self._settings.list_lag_seconds / 4

    async def stop(self) -> None:
        """Cut off the one that runs: it concluded nothing yet, or has recorded what it did."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _due_in(self) -> float:
        def read(db: sqlite3.Connection) -> tuple[list[intents.Intent], str | None, bool]:
            live = db.execute("SELECT 1 FROM remote WHERE state = 'live' LIMIT 1").fetchone()
            audited = "0" if trust.is_asked(db) else folders.meta(db, AUDITED_KEY)
            return intents.unknown(db), audited, live is not None or audited == "0"

        unknown, audited, live = await self._writer.run(read)
        now = self._clock.wall()
        moments = [now + self._settles_in(intent) for intent in unknown]
        if live:
            last = now if audited is None else float(audited)
            moments.append(min(last, now) + self._settings.check_interval_seconds)
            if audited is None:
                await self._writer.run(lambda db: folders.set_meta(db, AUDITED_KEY, repr(now)))
        return min(moments, default=now + IDLE_SECONDS) - now

    def _settles_in(self, intent: intents.Intent) -> float:
        """Return how long to wait before a listing can say more of an upload than the last one did."""
        if intent.absences == 0:
            return 0.0
        ended_at = settlement.ended_at(
            opened_at=intent.opened_at, begun_at=intent.begun_at, unknown_at=intent.unknown_at
        )
        shown_at = settlement.shown_at(ended_at, self._settings.list_lag_seconds)
        return shown_at - self._contact.server_now()

    async def _run(self) -> None:
        try:
            audit = await self._auditor().run()
            self._log.info(
                "audited",
                listed=audit.listed,
                lost=audit.lost,
                settled=audit.settled,
                unsettled=audit.unsettled,
            )
            self._progress.lost += audit.lost
            await self._writer.run(self._contact.remember_time)
        except RemoteError as error:
            if isinstance(error, CredentialsRefused):
                self._contact.refuse(error)
            self._log.warning("audit_failed", error=error.message)
            wait = max(self._contact.open_in_seconds(), SPACING_SECONDS)
            self._not_before = self._clock.monotonic() + wait
        except Exception as error:  # noqa: BLE001 - a task of its own: whoever reads the log has to hear of it
            self._log.error("audit_crashed", exc_info=error)
        finally:
            self._task = None
            self._clears_expired = False
            self._ended()
