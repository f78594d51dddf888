"""All dealings of the engine with the remote: what is sent, deleted, audited and tidied there, and when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fileferry.daemon import opening
from fileferry.daemon.audits import Audits
from fileferry.daemon.contact import Contact
from fileferry.daemon.renewal import RenewalPlan
from fileferry.errors import FerryError, RemoteError

if TYPE_CHECKING:
    import random
    import sqlite3
    from collections.abc import Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.daemon.audit import Auditor
    from fileferry.daemon.cancels import Cancels
    from fileferry.daemon.executor import Executor
    from fileferry.daemon.logs import Log
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.progress import Progress
    from fileferry.daemon.room import Room
    from fileferry.daemon.transfer import Transfer
    from fileferry.daemon.uploads import Uploads
    from fileferry.daemon.workers import Workers
    from fileferry.index.horizon import Horizon
    from fileferry.index.intents import Reading
    from fileferry.index.leaving import Leaving
    from fileferry.index.writer import Writer
    from fileferry.model import RemoteSettings
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

GIVE_UP_FAILURES = 4
GIVE_UP_SECONDS = (
    90.0  # longer than any limit by the minute asks for: nobody sits and waits for that
)
GIVE_UP_SLOWED = 30  # a server that asks to slow down is there, and says how long
TOO_MANY_REQUESTS = 429
DELETES_AT_ONCE = 8
ANSWER_SECONDS = 20.0  # a disk that does not answer by then holds up nobody


class Liaison:
    """Speaks to the remote for the engine.

    Args:
        connect: makes the Remote and its Pace; called once, when first needed.
        settings: the remote's part of the configuration.
        mirrors: the folders.
        others: collaborators of what is built on the remote.

    Attributes:
        on_change: called when something in flight ended.
        plan: when renewals begin.
    """

    def __init__(
        self,
        connect: Callable[[], tuple[Remote, Pace]],
        settings: RemoteSettings,
        mirrors: Mapping[int, Mirror],
        *,
        writer: Writer,
        workers: Workers,
        room: Room,
        clock: Clock,
        random: random.Random,
        progress: Progress,
        log: Log,
    ) -> None:
        self._settings = settings
        self._mirrors = mirrors
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._random = random
        self._progress = progress
        self._log = log
        self._contact = Contact(connect, writer=writer, clock=clock, log=log)
        self._contact.on_connect = self._build
        self._executor: Executor | None = None
        self._uploads: Uploads | None = None
        self._auditor: Auditor | None = None
        self._cancels: Cancels | None = None
        self._audits = Audits(
            self._built_auditor,
            self._contact,
            settings,
            writer=writer,
            clock=clock,
            progress=progress,
            ended=self._changed,
            log=log,
        )
        self._deletes = asyncio.Semaphore(DELETES_AT_ONCE)
        self._room = room
        self.plan = RenewalPlan(
            settings.uploads_per_minute,
            writer=writer,
            clock=clock,
            server_now=self.server_now,
        )
        self.on_change: Callable[[], None] = lambda: None

    @property
    def is_ready(self) -> bool:
        """Say whether the remote was greeted, and answers."""
        return self._contact.is_greeted and not self._contact.is_down

    @property
    def busy(self) -> bool:
        """Say whether something is in flight that may change the index."""
        uploading = self._uploads is not None and self._uploads.busy and not self._contact.is_down
        return uploading or self._auditing

    @property
    def busy_with_small(self) -> bool:
        """Say whether anything but a file that goes in parts is in flight: that may take an hour."""
        uploads = self._uploads
        uploading = uploads is not None and uploads.busy_with_small and not self._contact.is_down
        return uploading or self._auditing

    @property
    def given_up(self) -> bool:
        """Say whether a `sync` should stop asking: the API refuses us, or cannot be reached."""
        failures = 0 if self._contact.pace is None else self._contact.pace.failures
        stuck = (
            self.refusal is not None or self.halted is not None or self._room.trouble is not None
        )
        slowed = isinstance(self.trouble, RemoteError) and self.trouble.status == TOO_MANY_REQUESTS
        stuck = stuck or self._is_put_off
        return stuck or failures >= (GIVE_UP_SLOWED if slowed else GIVE_UP_FAILURES)

    @property
    def halted(self) -> str | None:
        """Return why nothing may be sent or deleted until somebody accepts it, or None."""
        return self._contact.halted

    @property
    def account(self) -> str | None:
        """Return whose the key is, as the API says, or None."""
        return self._contact.account

    @property
    def refusal(self) -> FerryError | None:
        """Return why the API takes nothing from us, or None."""
        return self._contact.refused or (None if self._uploads is None else self._uploads.refused)

    @property
    def trouble(self) -> FerryError | None:
        """Return why the last calls failed, or None when they did not."""
        if self.refusal is not None or self._room.trouble is not None:
            return self.refusal or self._room.trouble
        return self._contact.told if self._contact.pace is None else self._contact.pace.last_error

    @property
    def transfer(self) -> Transfer | None:
        """Return how far the file is that is being sent in parts, or None."""
        return None if self._executor is None else self._executor.large.transfer

    def recollect(self, db: sqlite3.Connection) -> None:
        """Take over what a process before this one knew of the server."""
        self._contact.recollect(db)

    def server_now(self) -> float:
        """Return the server's wall clock, as far as known."""
        return self._contact.server_now()

    def set_bandwidth(self, bytes_per_second: int) -> None:
        """Limit all uploads to so many bytes a second from now on, those under way too; 0 for no limit."""
        self._contact.set_bandwidth(bytes_per_second)

    def retry(self) -> None:
        """Somebody asks to try again now: forget refusals and waits."""
        self._contact.retry()
        self._room.forget()
        if self._uploads is not None:
            self._uploads.unblock()
        if self._executor is not None:
            self._executor.large.ways.doubt()
        self.on_change()

    def end_rest(self) -> None:
        """Ask the API at once, though it wanted to be left alone."""
        self._contact.end_rest()
        self.on_change()

    async def send(self, ahead: Horizon) -> None:
        """Start the uploads and renewals that are due, and the cancels."""
        await self._contact.take_notes()
        now = self._clock.wall()
        if ahead.cancel_at is not None and ahead.cancel_at <= now:
            await self._tidy()
        due = ahead.send_at is not None and ahead.send_at <= now
        renew = await self._may_have_to_renew(ahead.renew_at)
        if not (due or renew):
            self._room.forget()
            return
        if self._contact.is_resting or not await self._contact.ready() or self._uploads is None:
            return
        if await self._audits.clear_expired():
            return  # what has run out already is no renewal: a listing says so before others are renewed
        if await self._room.is_there():
            self._hold_large(is_held=False)
            if self._executor is not None:
                await self._executor.large.ways.recall()
            await self._uploads.refill(self._contact.ready)

    async def is_reachable(self) -> bool:
        """Say whether the remote may be used now; asks it, if that is not known."""
        return await self._contact.ready()

    async def delete(self, item: Leaving) -> None:
        """Delete one id that was given up.

        Raises:
            RemoteError: it could not be; recorded, and tried again later.
        """
        if not await self._contact.ready() or self._executor is None:
            return
        async with self._deletes:
            await self._executor.delete(item)

    async def audit_if_due(self) -> None:
        """Start a remote audit when uploads are unsettled, or the check interval has passed."""
        await self._audits.start_if_due()

    def due_in_seconds(self, ahead: Horizon) -> float:
        """Return how long nothing need be asked of the remote."""
        wait = self._contact.open_in_seconds()
        return max(wait, 0.0) or self._audits.due_in_seconds(ahead)

    def hold(self) -> None:
        """Begin no further part of a large file; `send` goes on with it."""
        self._hold_large(is_held=True)

    async def stop(self, grace_seconds: float) -> None:
        """Let what is in flight end, for so long; then close."""
        self._contact.is_ended = True
        self.hold()
        grace_seconds = 0.0 if self._contact.is_down else grace_seconds
        if self._uploads is not None:
            await self._uploads.stop(grace_seconds)
        await self._audits.stop()
        if self._cancels is not None:
            await self._cancels.stop(grace_seconds)
        if self._contact.remote is not None:
            await self._writer.run(self._contact.remember_rest)
            await self._contact.remote.aclose()

    @property
    def _is_put_off(self) -> bool:
        """Say whether the API wants to be left alone for longer than anybody sits and waits."""
        return self._contact.open_in_seconds() > GIVE_UP_SECONDS

    @property
    def _auditing(self) -> bool:
        return self._audits.running and not self._is_put_off

    async def _may_have_to_renew(self, renew_at: float | None) -> bool:
        """Say whether renewals may have to begin now, if this is when the first is due.

        A clock that is behind would let ids run out. So where the server's time is not known it is asked for, whatever
        ours says.
        """
        if renew_at is None:
            return False
        return not self._contact.trusts_time or await self.plan.has_begun(renew_at)

    def _hold_large(self, *, is_held: bool) -> None:
        if self._executor is not None:
            self._executor.large.is_held = is_held

    async def _tidy(self) -> None:
        if await self._contact.ready() and self._cancels is not None:
            self._cancels.start()

    async def _build(self, remote: Remote, pace: Pace) -> None:
        from fileferry.daemon.audit import Auditor
        from fileferry.daemon.cancels import Cancels
        from fileferry.daemon.executor import Executor
        from fileferry.daemon.large import LargeFiles
        from fileferry.daemon.uploads import Uploads
        from fileferry.daemon.ways import Ways

        writer, clock, log, settings = self._writer, self._clock, self._log, self._settings
        of_folders = [mirror.folder for mirror in self._mirrors.values()]
        ways = Ways(writer=writer, clock=clock, settings=settings, throttle=pace.throttle)
        large = LargeFiles(
            remote=remote,
            pace=pace,
            writer=writer,
            workers=self._workers,
            clock=clock,
            ways=ways,
            connections=settings.part_concurrency,
            log=log,
        )
        self._cancels = Cancels(
            remote=remote, pace=pace, writer=writer, clock=clock, ended=self._changed, log=log
        )
        self._executor = Executor(
            remote=remote,
            pace=pace,
            writer=writer,
            workers=self._workers,
            clock=clock,
            knows_time=lambda: self._contact.knows_time,
            random=self._random,
            mirrors=self._mirrors,
            large=large,
            progress=self._progress,
            log=log,
        )
        self._uploads = Uploads(
            self._executor,
            self.plan,
            writer=writer,
            clock=clock,
            concurrency=settings.concurrency,
            wake=self._changed,
            log=log,
        )
        self._auditor = Auditor(
            remote=remote,
            pace=pace,
            writer=writer,
            clock=clock,
            list_lag_seconds=settings.list_lag_seconds,
            delete_budget=min((folder.delete_budget for folder in of_folders), default=0),
            retire_seconds=max((folder.retire_delay_seconds for folder in of_folders), default=0.0),
            is_unchanged=self._is_unchanged,
            log=log,
        )

    async def _is_unchanged(self, reading: Reading) -> bool:
        looking = asyncio.ensure_future(
            self._workers.run_apart(opening.is_unchanged, self._mirrors, reading)
        )
        done, _ = await asyncio.wait({looking}, timeout=ANSWER_SECONDS)
        return bool(done) and looking.result()

    def _built_auditor(self) -> Auditor:
        assert self._auditor is not None, "built when the contact was made"
        return self._auditor

    def _changed(self) -> None:
        self.on_change()
