"""All dealings with the remote: it is connected to when first needed, greeted before it is used, and then trusted
to be one and the same.

The greeting costs one small request. It tells a wrong key before a thousand uploads do, and another project's key
before anything is sent or deleted there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fileferry.daemon.renewal import RenewalPlan
from fileferry.errors import (
    CredentialsRefused,
    FerryError,
    Held,
    QuotaExhausted,
    RemoteError,
    RemoteRefused,
)
from fileferry.index import folders, intents, trust

if TYPE_CHECKING:
    import random
    import sqlite3
    from collections.abc import Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.daemon.audit import Auditor
    from fileferry.daemon.cancels import Cancels
    from fileferry.daemon.executor import Executor
    from fileferry.daemon.large import LargeFiles
    from fileferry.daemon.logs import Log
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.progress import Progress
    from fileferry.daemon.uploads import Uploads
    from fileferry.daemon.workers import Workers
    from fileferry.index.horizon import Horizon
    from fileferry.index.leaving import Leaving
    from fileferry.index.writer import Writer
    from fileferry.model import RemoteSettings
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

ACCOUNT_KEY = "account"
GIVE_UP_FAILURES = 4
GIVE_UP_SLOWED = 30  # a server that asks to slow down is there, and says how long
TOO_MANY_REQUESTS = 429
REFUSED_SECONDS = 300.0
AUDIT_SPACING_SECONDS = 1.0
JUMP_SECONDS = 5.0
DELETES_AT_ONCE = 8
ROOM_SECONDS = 1.0


class Liaison:
    """Speaks to the remote for the engine.

    Args:
        connect: makes the Remote and its Pace; called once, when first needed.
        settings: the remote's part of the configuration.
        mirrors: the folders.
        others: collaborators of what is built on the remote.

    Attributes:
        on_change: called when something in flight ended.
        refused: why the API takes nothing from us, or None.
        halted: why nothing may be sent or deleted until somebody accepts it, or None.
        room: says why nothing may be sent because its id could not be written down, or None. Blocks.
        cramped: what it said last.
    """

    def __init__(
        self,
        connect: Callable[[], tuple[Remote, Pace]],
        settings: RemoteSettings,
        mirrors: Mapping[int, Mirror],
        *,
        writer: Writer,
        workers: Workers,
        clock: Clock,
        random: random.Random,
        progress: Progress,
        log: Log,
    ) -> None:
        self._connect = connect
        self._settings = settings
        self._mirrors = mirrors
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._random = random
        self._progress = progress
        self._log = log
        self._remote: Remote | None = None
        self._pace: Pace | None = None
        self._executor: Executor | None = None
        self._uploads: Uploads | None = None
        self._auditor: Auditor | None = None
        self._large: LargeFiles | None = None
        self._cancels: Cancels | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._greeted = False
        self._drift_seconds = (
            0.0  # of our wall clock against the monotonic one, at the last greeting
        )
        self._not_before = 0.0
        self._audit: asyncio.Task[None] | None = None
        self._audit_not_before = 0.0
        self._deletes = asyncio.Semaphore(DELETES_AT_ONCE)
        self._stopped = False
        self.on_change: Callable[[], None] = lambda: None
        self.refused: FerryError | None = None
        self.plan = RenewalPlan(
            settings.uploads_per_minute,
            writer=writer,
            clock=clock,
            server_now=self.server_now,
            log=log,
        )
        self.room: Callable[[], FerryError | None] = lambda: None
        self.cramped: FerryError | None = None
        self._room_known_until = 0.0
        self.halted: str | None = None
        self.account: str | None = None

    @property
    def is_ready(self) -> bool:
        """Say whether the remote was greeted, and answers."""
        return self._greeted and not self._is_down

    @property
    def busy(self) -> bool:
        """Say whether something is in flight that may change the index."""
        uploading = self._uploads is not None and self._uploads.busy and not self._is_down
        return uploading or self._audit is not None

    @property
    def busy_with_small(self) -> bool:
        """Say whether anything but a file that goes in parts is in flight: that may take an hour."""
        uploading = (
            self._uploads is not None and self._uploads.busy_with_small and not self._is_down
        )
        return uploading or self._audit is not None

    @property
    def given_up(self) -> bool:
        """Say whether a `sync` should stop asking: the API refuses us, or cannot be reached."""
        failures = 0 if self._pace is None else self._pace.failures
        stuck = self.refusal is not None or self.halted is not None or self.cramped is not None
        slowed = isinstance(self.trouble, RemoteError) and self.trouble.status == TOO_MANY_REQUESTS
        return stuck or failures >= (GIVE_UP_SLOWED if slowed else GIVE_UP_FAILURES)

    @property
    def refusal(self) -> FerryError | None:
        """Return why the API takes nothing from us, or None."""
        return self.refused or (None if self._uploads is None else self._uploads.refused)

    @property
    def trouble(self) -> FerryError | None:
        """Return why the last calls failed, or None when they did not."""
        if self.refusal is not None or self.cramped is not None:
            return self.refusal or self.cramped
        return None if self._pace is None else self._pace.last_error

    @property
    def _is_down(self) -> bool:
        return self._pace is not None and self._pace.is_down

    def server_now(self) -> float:
        """Return the server's wall clock, as far as known."""
        skew = 0.0 if self._remote is None else self._remote.skew_seconds()
        return self._clock.wall() + skew

    def retry(self) -> None:
        """Somebody asks to try again now: forget refusals and waits."""
        self.refused = self.cramped = None
        self._not_before = self._room_known_until = 0.0
        if self._uploads is not None:
            self._uploads.unblock()
        self.on_change()

    async def send(self, ahead: Horizon) -> None:
        """Start the uploads and renewals that are due, and the cancels."""
        now = self._clock.wall()
        if ahead.cancel_at is not None and ahead.cancel_at <= now:
            await self._tidy()
        due = ahead.send_at is not None and ahead.send_at <= now
        renew = ahead.renew_at is not None and ahead.renew_at <= await self.plan.before()
        if not (due or renew):
            self.cramped = None
            return
        if self._clock.monotonic() < self._not_before:
            return
        if not await self._ready() or self._uploads is None:
            return
        if not await self._has_room():
            return
        await self._uploads.refill(self._ready)

    async def _tidy(self) -> None:
        if self._tidying is not None or not await self._ready() or self._cancels is None:
            return

        def ended(_task: asyncio.Task[None]) -> None:
            self._tidying = None
            self.on_change()

        self._tidying = asyncio.create_task(self._cancels.tidy())
        self._tidying.add_done_callback(lambda task: self._complain("tidy_crashed", task))
        self._tidying.add_done_callback(ended)

    def _complain(self, event: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._log.error(event, exc_info=task.exception())

    async def is_reachable(self) -> bool:
        """Say whether the remote may be used now; asks it, if that is not known."""
        return await self._ready()

    async def delete(self, item: Leaving) -> None:
        """Delete one id that was given up.

        Raises:
            RemoteError: it could not be; recorded, and tried again later.
        """
        if not await self._ready() or self._executor is None:
            return
        async with self._deletes:
            await self._executor.delete(item)

    async def audit_if_due(self) -> None:
        """Start a remote audit when uploads are unsettled, or the check interval has passed."""
        now = self._clock.monotonic()
        if self._audit is not None or now < self._audit_not_before or now < self._not_before:
            return
        if await self._audit_due_in() > 0 or not await self._ready():
            return
        self._audit_not_before = now + AUDIT_SPACING_SECONDS
        self._audit = asyncio.create_task(self._run_audit())
        self._audit.add_done_callback(lambda task: self._complain("audit_crashed", task))

    def due_in_seconds(self, ahead: Horizon) -> float:
        """Return how long nothing need be asked of the remote."""
        now = self._clock.monotonic()
        audit = ahead.unknown > 0 or ahead.audit_asked
        wait = max(self._not_before, self._audit_not_before if audit else 0.0) - now
        if self._pace is not None:
            wait = max(wait, self._pace.open_in_seconds())
        return wait if wait > 0 else self._settings.list_lag_seconds / 4 if audit else 3600.0

    async def stop(self, grace_seconds: float) -> None:
        """Let what is in flight end, for so long; then close."""
        self._stopped = True
        if self._uploads is not None:
            await self._uploads.stop(0.0 if self._is_down else grace_seconds)
        for task in (self._audit, self._tidying):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._remote is not None:
            await self._remote.aclose()

    async def _has_room(self) -> bool:
        """Say whether the ids of what is sent can be written down; looked at once a second at most."""
        now = self._clock.monotonic()
        if now >= self._room_known_until:
            before, self.cramped = self.cramped, await self._workers.run(self.room)
            self._room_known_until = now + ROOM_SECONDS
            if self.cramped is not None and before is None:
                self._log.error("no_room", error=self.cramped.message, hint=self.cramped.hint)
            elif before is not None and self.cramped is None:
                self._log.info("room_again")
        return self.cramped is None

    async def _ready(self) -> bool:
        """Connect and greet, once, and again when our clock was set; say whether the remote may be used now."""
        drift = self._clock.wall() - self._clock.monotonic()
        if abs(drift - self._drift_seconds) > JUMP_SECONDS:
            self._greeted = (
                False  # what we knew of the server's clock is void: its next answer tells it anew
            )
        if self._greeted or self._stopped or self._clock.monotonic() < self._not_before:
            return self._greeted and not self._stopped
        try:
            if self._remote is None:
                self._build()
                await self._continue_minute()
                if self._large is not None:
                    await self._large.recall()
            assert self._pace is not None
            assert self._remote is not None
            async with self._pace.call():
                account = await self._remote.hello()
            text = ", ".join(part for part in (account.organization, account.project) if part)
            self.account = text or None
            await self._writer.run(lambda db: _pin_account(db, text))
        except (CredentialsRefused, QuotaExhausted) as error:
            self.refused = error
            self._not_before = self._clock.monotonic() + REFUSED_SECONDS
            self._log.warning("refused", error=error.message, hint=error.hint)
            return False
        except Held as error:
            self.halted = error.message
            self._not_before = self._clock.monotonic() + REFUSED_SECONDS
            self._log.warning("halted", reason=error.message, hint=error.hint)
            return False
        except RemoteError as error:
            wait = self._pace.open_in_seconds() if self._pace is not None else 1.0
            self._not_before = self._clock.monotonic() + max(wait, 0.05)
            if isinstance(error, RemoteRefused):
                self.refused = error
            self._log.warning("remote_unavailable", error=error.message, retry_in=round(wait, 2))
            return False
        self._greeted = True
        self._drift_seconds = drift
        self.refused = self.halted = None
        return True

    async def _continue_minute(self) -> None:
        """Keep the limit over a restart: what was sent a moment ago counts."""
        since = self.server_now() - 60.0
        recent = await self._writer.run(lambda db: intents.opened_since(db, since))
        if recent and self._pace is not None:
            self._pace.continue_minute()

    def _build(self) -> None:
        from fileferry.daemon.audit import Auditor
        from fileferry.daemon.cancels import Cancels
        from fileferry.daemon.executor import Executor
        from fileferry.daemon.large import LargeFiles
        from fileferry.daemon.uploads import Uploads

        self._remote, self._pace = self._connect()
        folders_of = [mirror.folder for mirror in self._mirrors.values()]
        self._large = LargeFiles(
            remote=self._remote,
            pace=self._pace,
            writer=self._writer,
            workers=self._workers,
            clock=self._clock,
            settings=self._settings,
            log=self._log,
        )
        self._cancels = Cancels(
            remote=self._remote,
            pace=self._pace,
            writer=self._writer,
            clock=self._clock,
            log=self._log,
        )
        self._executor = Executor(
            remote=self._remote,
            pace=self._pace,
            writer=self._writer,
            workers=self._workers,
            clock=self._clock,
            random=self._random,
            mirrors=self._mirrors,
            large=self._large,
            progress=self._progress,
            log=self._log,
        )
        self._uploads = Uploads(
            self._executor,
            self.plan,
            writer=self._writer,
            clock=self._clock,
            concurrency=self._settings.concurrency,
            wake=self._changed,
            log=self._log,
        )
        self._auditor = Auditor(
            remote=self._remote,
            pace=self._pace,
            writer=self._writer,
            clock=self._clock,
            list_lag_seconds=self._settings.list_lag_seconds,
            delete_budget=min((folder.delete_budget for folder in folders_of), default=0),
            retire_seconds=max((folder.retire_delay_seconds for folder in folders_of), default=0.0),
            log=self._log,
        )

    def _changed(self) -> None:
        self.on_change()

    async def _audit_due_in(self) -> float:
        from fileferry.daemon.audit import AUDITED_KEY

        def read(db: sqlite3.Connection) -> tuple[list[intents.Intent], str | None, bool]:
            live = db.execute("SELECT 1 FROM remote WHERE state = 'live' LIMIT 1").fetchone()
            audited = "0" if trust.is_asked(db) else folders.meta(db, AUDITED_KEY)
            return intents.unknown(db), audited, live is not None or audited == "0"

        unknown, audited, live = await self._writer.run(read)
        now = self._clock.wall()
        moments = [
            (intent.unknown_at or now) + (self._settings.list_lag_seconds if intent.absences else 0)
            for intent in unknown
        ]
        if live:
            last = now if audited is None else float(audited)
            moments.append(min(last, now) + self._settings.check_interval_seconds)
            if audited is None:
                await self._writer.run(lambda db: folders.set_meta(db, AUDITED_KEY, repr(now)))
        return min(moments, default=now + 3600.0) - now

    async def _run_audit(self) -> None:
        assert self._auditor is not None
        try:
            audit = await self._auditor.run()
            self._log.info(
                "audited",
                listed=audit.listed,
                lost=audit.lost,
                settled=audit.settled,
                unsettled=audit.unsettled,
            )
            self._progress.lost += audit.lost
        except RemoteError as error:
            if isinstance(error, CredentialsRefused):
                self.refused = error
                self._not_before = self._clock.monotonic() + REFUSED_SECONDS
            self._log.warning("audit_failed", error=error.message)
            wait = 1.0 if self._pace is None else self._pace.open_in_seconds()
            self._audit_not_before = self._clock.monotonic() + max(wait, AUDIT_SPACING_SECONDS)
        finally:
            self._audit = None
            self.on_change()


def _pin_account(db: sqlite3.Connection, account: str) -> None:
    pinned = folders.meta(db, ACCOUNT_KEY)
    if not account:
        return
    if pinned is None:
        folders.set_meta(db, ACCOUNT_KEY, account)
    elif pinned != account:
        raise Held(
            f"the index belongs to the account {pinned}, and this key to {account}",
            hint="`fileferry accept remote` if that was meant: everything is sent again there",
        )
