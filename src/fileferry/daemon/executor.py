"""Execute: one upload or one delete at a time. Check, record the intent, act, check, record the result.

Every await can be the last: whatever is on the disk between two lines here is enough for the next start to go on.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

from fileferry.daemon import corrections
from fileferry.daemon.opening import Opened, open_first
from fileferry.daemon.results import Results
from fileferry.errors import (
    CredentialsRefused,
    OutcomeUnknown,
    QuotaExhausted,
    RemoteError,
    RemoteUnavailable,
    SourceChanged,
    SourceError,
    SourceUnreadable,
)
from fileferry.index import intents, leaving, trust, wants
from fileferry.plan import expiry, rules, settlement
from fileferry.remote.base import Upload

if TYPE_CHECKING:
    import random
    import sqlite3
    from collections.abc import Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.daemon.large import LargeFiles
    from fileferry.daemon.logs import Log
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.progress import Progress
    from fileferry.daemon.workers import Workers
    from fileferry.index.contents import Want
    from fileferry.index.leaving import Leaving
    from fileferry.index.writer import Writer
    from fileferry.model import RemoteFile
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

BUSY_SECONDS = 1.0
ANSWER_SECONDS = 20.0


class Executor:
    """Carries out what was planned, one thing per call.

    Attributes:
        large: sends what goes in parts.
    """

    def __init__(
        self,
        *,
        remote: Remote,
        pace: Pace,
        writer: Writer,
        workers: Workers,
        clock: Clock,
        knows_time: Callable[[], bool],
        random: random.Random,
        mirrors: Mapping[int, Mirror],
        large: LargeFiles,
        progress: Progress,
        log: Log,
    ) -> None:
        self._remote = remote
        self._pace = pace
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._knows_time = knows_time
        self._random = random
        self._mirrors = mirrors
        self.large = large
        self._progress = progress
        self._log = log
        self._results = Results(
            pace=pace,
            writer=writer,
            clock=clock,
            server_now=self.server_now,
            mirrors=mirrors,
            ways=large.ways,
            progress=progress,
            log=log,
        )

    def server_now(self) -> float:
        """Return the server's wall clock, as far as known."""
        return self._clock.wall() + self._remote.skew_seconds()

    async def upload(self, want: Want) -> None:
        """Send one content, once, and record what came of it.

        Raises:
            CredentialsRefused: the API takes nothing from us.
            QuotaExhausted: it takes nothing more.
        """
        opened = await self._open(want)
        if isinstance(opened, SourceError):
            await self._results.look_again(want, opened)
            return
        try:
            opened.in_parts = self.large.ways.takes_parts(want.key)
            if opened.in_parts:
                await self._send(want, opened)  # paces its calls one by one
                return
            async with self._pace.upload():
                await self._send(want, opened)
        except (CredentialsRefused, QuotaExhausted):
            raise
        except RemoteError:
            return  # recorded where it was known what it means; the pace has seen it too
        finally:
            if not opened.is_in_memory:
                closing = asyncio.ensure_future(self._workers.run_apart(opened.close))
                closing.add_done_callback(
                    _whatever
                )  # what was only read is whole, however it is closed
                await asyncio.wait({closing}, timeout=ANSWER_SECONDS)

    async def delete(self, item: Leaving) -> None:
        """Send the DELETE of an id that was given up, and record the answer."""
        try:
            async with self._pace.delete():
                await self._remote.delete(item.file_id)
        except RemoteError as error:
            retry_after = (
                error.retry_after_seconds if isinstance(error, RemoteUnavailable) else None
            )
            wait = retry_after or self._pace.delay_seconds(item.attempts + 1)
            until = self._clock.wall() + wait
            await self._writer.run(
                lambda db: leaving.put_off_delete(db, item.remote_id, until=until)
            )
            self._log.warning("delete_failed", file_id=item.file_id, error=error.message)
            if isinstance(error, CredentialsRefused):
                raise
            return
        now = self._clock.wall()
        await self._writer.run(lambda db: leaving.end_delete(db, item.remote_id, now=now))
        self._progress.deleted += 1
        self._log.info("deleted", file_id=item.file_id, name=item.name, reason=item.reason)

    async def _open(self, want: Want) -> Opened | SourceError:
        opening = asyncio.ensure_future(self._workers.run_apart(open_first, self._mirrors, want))
        if (await asyncio.wait({opening}, timeout=ANSWER_SECONDS))[0]:
            return opening.result()
        opening.add_done_callback(_close_late)
        return SourceUnreadable("the disk does not answer", errno=errno.ETIMEDOUT)

    async def _send(self, want: Want, opened: Opened) -> None:
        if not self._knows_time():
            return  # our clock was set while this one waited: the server is asked for its time before it goes on
        upload, intent_id = await self._record_intent(want, opened)
        if intent_id is None:
            return
        began = self._clock.monotonic()
        self._progress.began(want.key.size)
        try:
            file = await self._transmit(want, opened, upload, intent_id)
        except SourceError as error:
            await self._results.moved(want, intent_id, error)
            return
        except OutcomeUnknown as error:
            is_same = await self._is_same(want, opened)
            await self._results.give_up(want, intent_id, error, opened, is_same=is_same)
            raise
        except RemoteError as error:
            await self._results.failed(want, intent_id, error, opened)
            raise
        except asyncio.CancelledError:
            # No await here: the loop may be ending. What was not sent whole cannot have been stored.
            if not opened.may_be_stored:
                now = self._clock.wall()
                self._writer.submit(lambda db: intents.close(db, intent_id, "not sent", now=now))
            raise
        finally:
            self._progress.ended(want.key.size)
        try:
            moved = not opened.is_in_memory and await self._workers.run_apart(
                opened.verify, want.key.digest
            )
            if file.size is not None and file.size != want.key.size:
                raise SourceChanged(f"the API stored {file.size} of {want.key.size} bytes")
        except SourceError as error:
            await self._results.discard(want, intent_id, file, error)
            return
        await self._results.sent(want, intent_id, file, opened.origin if moved else None)
        await self._learn_end(upload, file)
        self._progress.sent(want.key.size)
        self._log.info(
            "renewed" if want.renewal else "uploaded",
            path=opened.shown,
            file_id=file.file_id,
            request_id=file.request_id,
            bytes=want.key.size,
            ms=round((self._clock.monotonic() - began) * 1000),
        )

    async def _learn_end(self, upload: Upload, answer: RemoteFile) -> None:
        """Where the answer did not say when the id ends, though an end was asked for: ask, or have an audit made."""
        if upload.expires_seconds is None or answer.expires_at is not None:
            return
        try:
            async with self._pace.call():
                file = await self._remote.get(answer.file_id)
        except RemoteError:
            await self._writer.run(trust.ask)
            return
        await self._writer.run(lambda db: corrections.learn_ends(db, [file]))

    async def _is_same(self, want: Want, opened: Opened) -> bool:
        """Say whether what was sent is what was planned: compared now, or before."""
        try:
            if not opened.is_in_memory:
                await self._workers.run_apart(opened.verify, want.key.digest)
        except SourceError:
            return False
        return True

    async def _transmit(
        self, want: Want, opened: Opened, upload: Upload, intent_id: int
    ) -> RemoteFile:
        if opened.in_parts:
            return await self.large.send(want, opened, upload, intent_id)
        return await self._remote.create(upload, opened.body)

    async def _record_intent(self, want: Want, opened: Opened) -> tuple[Upload, int | None]:
        life = self._life(want)
        folder = opened.mirror.folder
        policy = rules.policy_for(folder, opened.origin.path)
        name = rules.sent_name(policy, opened.origin.path, want.key.digest)
        alike = settlement.heard(name)
        size, purpose = want.key.size, want.key.purpose

        def record(db: sqlite3.Connection) -> tuple[Upload, int | None]:
            left = self.large.resumable(db, want, life) if opened.in_parts else None
            if left is not None:
                upload = Upload(left.name, size, purpose, left.expires_seconds)
            else:
                used = intents.used_expiries(db, name=alike, size=size, purpose=purpose)
                told = (
                    None if life is None else expiry.with_nonce(life, used, self._random.randrange)
                )
                upload = Upload(name, size, purpose, told)
            if not wants.is_wanted(db, want):
                return upload, None
            intent_id = intents.open_one(
                db,
                content_id=want.content_id,
                name=settlement.heard(upload.name),
                size=size,
                purpose=purpose,
                expires_seconds=upload.expires_seconds,
                server_now=self.server_now(),
                now=self._clock.wall(),
                reading=opened.reading,
            )
            if intent_id is None:
                until = self._clock.wall() + BUSY_SECONDS
                wants.put_off(db, want.content_id, until=until, error=None)
            elif opened.in_parts:
                self.large.prepare(db, want, intent_id, upload, life, left)
            return upload, intent_id

        return await self._writer.run(record)

    def _life(self, want: Want) -> int | None:
        """Return the longest expiry that any of the paths asks for; None is for ever."""
        longest = 0
        for origin in want.origins:
            mirror = self._mirrors.get(origin.folder_id)
            if mirror is None:
                continue
            seconds = rules.policy_for(mirror.folder, origin.path).expires_after_seconds
            if seconds is None:
                return None
            longest = max(longest, seconds)
        return longest or None


def _close_late(opening: asyncio.Future[Opened | SourceError]) -> None:
    if not opening.cancelled() and isinstance(opened := opening.result(), Opened):
        opened.close()


def _whatever(task: asyncio.Future[None]) -> None:
    """Take note of how a task ended, and do nothing about it."""
    if not task.cancelled():
        task.exception()
