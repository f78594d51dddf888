"""What became of an upload, recorded: one transaction for each way in which it may end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.errors import (
    Barred,
    CredentialsRefused,
    OutcomeUnknown,
    PartsDamaged,
    QuotaExhausted,
    RemoteError,
    RemoteRefused,
    RemoteUnavailable,
    SourceError,
    TooSlow,
)
from fileferry.index import contents, intents, remotes, wants
from fileferry.model import Proof, RemoteState, RetireReason
from fileferry.plan import renewals

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.opening import Opened
    from fileferry.daemon.progress import Progress
    from fileferry.daemon.ways import Ways
    from fileferry.index.contents import Origin, Want
    from fileferry.index.writer import Writer
    from fileferry.model import RemoteFile
    from fileferry.remote.pacing import Pace

HOURLY_SECONDS = 3_600.0
CLOSED_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Short:
    """An id that is due for renewal as it comes; `left`: seconds for which it lives."""

    left: float
    reason: str


class Results:
    """Records how uploads end."""

    def __init__(
        self,
        *,
        pace: Pace,
        writer: Writer,
        clock: Clock,
        server_now: Callable[[], float],
        mirrors: Mapping[int, Mirror],
        ways: Ways,
        progress: Progress,
        log: Log,
    ) -> None:
        self._pace = pace
        self._writer = writer
        self._clock = clock
        self._server_now = server_now
        self._mirrors = mirrors
        self._ways = ways
        self._progress = progress
        self._log = log

    async def sent(
        self, want: Want, intent_id: int, file: RemoteFile, moved: Origin | None = None
    ) -> None:
        """It is there: its id is recorded, and answers from now on; `moved` has younger bytes already."""
        now = self._clock.wall()
        renew_at = renewals.renew_at(created_at=file.created_at, expires_at=file.expires_at)
        retire_seconds = max(
            (
                mirror.folder.retire_delay_seconds
                for mirror in (self._mirrors.get(origin.folder_id) for origin in want.origins)
                if mirror is not None
            ),
            default=0.0,
        )

        short = _short_lived(file, renew_at, self._server_now())

        def record(db: sqlite3.Connection) -> int:
            intents.close(db, intent_id, "done", now=now, file_id=file.file_id)
            settled = contents.record_upload(
                db,
                want.content_id,
                file,
                proof=Proof.PROVEN,
                renew_at=renew_at,
                now=now,
                retire_seconds=retire_seconds,
                origins=want.origins,
            )
            if short is not None:
                # Or it would go up again at once, and again.
                later = now + renewals.again_seconds(left=short.left, tries=want.attempts)
                wants.come_back(
                    db, want.content_id, at=later, attempts=want.attempts + 1, error=short.reason
                )
            if moved is not None:
                wants.look_again(db, moved.folder_id, moved.path, now=now)
            return settled

        await self._writer.run(record)
        if short is not None:
            self._log.warning("short_lived", file_id=file.file_id, reason=short.reason)

    async def discard(
        self, want: Want, intent_id: int, file: RemoteFile, error: SourceError
    ) -> None:
        """The file moved while it was sent: what was stored is nobody's version, and goes at once."""
        now = self._clock.wall()

        def record(db: sqlite3.Connection) -> None:
            intents.close(db, intent_id, "done", now=now, file_id=file.file_id)
            remotes.add_remote(
                db,
                None,
                file,
                state=RemoteState.RETIRING,
                proof=Proof.PROVEN,
                now=now,
                reason=RetireReason.RACE,
            )

        await self._writer.run(record)
        await self.look_again(want, error)

    async def give_up(
        self,
        want: Want,
        intent_id: int,
        error: OutcomeUnknown,
        opened: Opened,
        *,
        is_same: bool,
    ) -> None:
        """Its answer was lost: only listings can settle it. `is_same`: what was sent is what was planned."""
        now = self._clock.wall()

        def record(db: sqlite3.Connection) -> None:
            intents.give_up(db, intent_id, now=now)
            intents.compared(db, intent_id, is_same=is_same)
            wants.put_off(db, want.content_id, until=None, error=error.message)
            if not is_same:
                wants.look_again(db, opened.origin.folder_id, opened.origin.path, now=now)

        await self._writer.run(record)
        self._log.warning("outcome_unknown", path=opened.shown, error=error.message)

    async def moved(self, want: Want, intent_id: int, error: SourceError) -> None:
        """The file moved before all of it was sent: nothing was stored, and it is read again."""
        now = self._clock.wall()
        await self._writer.run(lambda db: intents.close(db, intent_id, "not sent", now=now))
        await self.look_again(want, error)

    async def _send_otherwise(self, want: Want, intent_id: int) -> None:
        """It cannot go in parts after all, but in one piece: at once."""
        now = self._clock.wall()

        def record(db: sqlite3.Connection) -> None:
            intents.close(db, intent_id, "not sent", now=now)
            wants.put_off(db, want.content_id, until=now, error=None)

        await self._writer.run(record)

    async def failed(self, want: Want, intent_id: int, error: RemoteError, opened: Opened) -> None:
        """It was not stored: it is tried again later, another way, or never."""
        if opened.in_parts and not self._ways.takes_parts(want.key):
            await self._send_otherwise(want, intent_id)
            return
        now = self._clock.wall()
        lasting = isinstance(error, CredentialsRefused | QuotaExhausted)
        refused = isinstance(error, RemoteRefused) and not lasting
        if isinstance(error, RemoteUnavailable):
            until = now + (error.retry_after_seconds or self._pace.delay_seconds(want.attempts + 1))
        elif isinstance(error, Barred | TooSlow | PartsDamaged):
            until = now + HOURLY_SECONDS
        else:
            until = now  # uploads as a whole stand still then, and whoever asks again has an answer

        def record(db: sqlite3.Connection) -> None:
            intents.close(db, intent_id, "refused" if refused else "not sent", now=now)
            if refused and want.renewal:
                left = wants.life_left(db, want.content_id, server_now=self._server_now())
                later = now + renewals.retry_seconds(left)
                wants.put_off(db, want.content_id, until=later, error=error.message)
            elif refused:
                wants.refuse(db, want.content_id, error.message)
            else:
                if isinstance(error, Barred | TooSlow | PartsDamaged):
                    wants.despair(db, want.content_id)
                wants.put_off(db, want.content_id, until=until, error=error.message)

        await self._writer.run(record)
        self._progress.failed(error)
        self._log.warning(
            "rejected" if refused else "upload_failed",
            path=opened.shown,
            error=error.message,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
        )

    async def look_again(self, want: Want, error: SourceError) -> None:
        """Have its paths read again."""
        now = self._clock.wall()

        def record(db: sqlite3.Connection) -> None:
            for origin in want.origins:
                wants.look_again(db, origin.folder_id, origin.path, now=now)
            if want.renewal:
                until = now + CLOSED_RETRY_SECONDS
                wants.put_off(db, want.content_id, until=until, error=None)
            else:
                wants.put_off(db, want.content_id, until=None, error=None)

        await self._writer.run(record)
        self._log.info("source_moved", detail=error.message)


def _short_lived(file: RemoteFile, renew_at: float | None, server_now: float) -> _Short | None:
    if file.expires_at is None or renew_at is None or renew_at > server_now:
        return None
    left = file.expires_at - server_now
    ends = f"ends in {left:.0f} seconds" if left > 0 else "has run out already"
    return _Short(left, f"the API gave it an id that {ends}")
