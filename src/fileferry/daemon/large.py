"""Large files: how one that goes in parts gets through whatever comes between.

An Upload lives an hour. What was sent of it is in the index, so that a lost connection or a crash costs no more than
the parts that were under way. What cannot be through in an hour is not begun again and again: the reason names the
rate that it would need, and it is tried again at most hourly.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fileferry.daemon.transfer import Transfer
from fileferry.daemon.ways import no_way, too_slow
from fileferry.errors import (
    Barred,
    CredentialsRefused,
    OutcomeUnknown,
    PartsDamaged,
    PartsRefused,
    QuotaExhausted,
    RemoteMissing,
    RemoteRefused,
    RemoteUnavailable,
    SourceChanged,
    SourceError,
    TooSlow,
)
from fileferry.index import parts
from fileferry.local.slices import Slice, Survey
from fileferry.plan import parts as plan
from fileferry.plan.parts import Cut, Outlook
from fileferry.remote.multipart import Shipment

if TYPE_CHECKING:
    import sqlite3

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.opening import Opened
    from fileferry.daemon.ways import Ways
    from fileferry.daemon.workers import Workers
    from fileferry.errors import RemoteError
    from fileferry.index.contents import Want
    from fileferry.index.parts import Parcel
    from fileferry.index.writer import Writer
    from fileferry.local.reader import Source
    from fileferry.model import Part, RemoteFile
    from fileferry.remote.base import Remote, Upload
    from fileferry.remote.pacing import Pace

WATCH_SECONDS = 5.0
TELL_SECONDS = 60.0


class LargeFiles:
    """Sends files in parts.

    Args:
        remote, pace, writer, workers, clock, log: collaborators.
        ways: says what goes in parts.
        connections: parts at once.

    Attributes:
        transfer: of the file that is being sent, or None.
        is_held: no further part is begun; what is under way may end.
    """

    def __init__(
        self,
        *,
        remote: Remote,
        pace: Pace,
        writer: Writer,
        workers: Workers,
        clock: Clock,
        ways: Ways,
        connections: int,
        log: Log,
    ) -> None:
        self._remote = remote
        self._pace = pace
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._connections = connections
        self._log = log
        self.ways = ways
        self.transfer: Transfer | None = None
        self.is_held = False

    def resumable(
        self, db: sqlite3.Connection, want: Want, life_seconds: int | None
    ) -> Parcel | None:
        """Return the Upload that was left when a content was sent last, if it may go on."""
        if not self.ways.takes_parts(want.key):
            return None
        alive_until = self._server_now() + plan.MARGIN_SECONDS
        return parts.resumable(
            db, want.content_id, life_seconds=life_seconds, expires_after=alive_until
        )

    def prepare(
        self,
        db: sqlite3.Connection,
        want: Want,
        intent_id: int,
        upload: Upload,
        life_seconds: int | None,
        left: Parcel | None,
    ) -> None:
        """Record, with its intent, that a content goes in parts: with those that `left` has, or anew."""
        if left is not None:
            parts.take_over(db, left.parcel_id, intent_id)
            return
        parts.announce(
            db,
            content_id=want.content_id,
            intent_id=intent_id,
            name=upload.name,
            expires_seconds=upload.expires_seconds,
            life_seconds=life_seconds,
            part_bytes=plan.part_bytes(upload.size, self._connections),
        )

    async def send(self, want: Want, opened: Opened, upload: Upload, intent_id: int) -> RemoteFile:
        """Send one content in parts.

        Raises:
            SourceError: the file moved; nothing was stored.
            PartsRefused: the API takes no parts of this purpose; it is remembered.
            TooSlow: it cannot be through in time.
            RemoteError: as `Remote.create`.
        """
        opened.in_parts = True
        source = opened.source
        assert source is not None, "what is large is not in memory"
        parcel = await self._writer.run(lambda db: parts.of_intent(db, intent_id))
        assert parcel is not None, "recorded with its intent"
        is_resumed = parcel.upload_id is not None
        try:
            self.ways.check(want.key)
            if not is_resumed:
                parcel = await self._begin(parcel, upload)
            ids, md5 = await self._ship(want, parcel, opened.shown, source)
            await self._writer.run(lambda db: parts.completing(db, parcel.parcel_id))
            opened.completing = True
            async with self._pace.part():
                assert parcel.upload_id is not None
                return await self._remote.complete_upload(parcel.upload_id, ids, md5=md5)
        except (CredentialsRefused, QuotaExhausted):
            raise
        except (SourceError, TooSlow, PartsDamaged):
            await self._doom(want)
            raise
        except PartsRefused as error:
            await self._remember(want, error)
            raise no_way(want.key) from error
        except (RemoteRefused, Barred) as error:
            await self._doom(want)
            if opened.completing and parcel.state == "completing":
                raise OutcomeUnknown(f"an earlier answer was lost: {error.message}") from error
            is_over = isinstance(error, RemoteMissing) or not self._is_alive(parcel)
            if not isinstance(error, Barred) and (is_resumed or is_over):
                raise RemoteUnavailable(
                    f"the parts are sent anew: {error.message}", status=error.status
                ) from error
            raise

    async def _begin(self, parcel: Parcel, upload: Upload) -> Parcel:
        async with self._pace.upload():
            pending = await self._remote.begin_upload(upload)

        def record(db: sqlite3.Connection) -> Parcel | None:
            parts.begun(
                db, parcel.parcel_id, upload_id=pending.upload_id, expires_at=pending.expires_at
            )
            return parts.of_row(db, parcel.parcel_id)

        begun = await self._writer.run(record)
        assert begun is not None
        return begun

    async def _ship(
        self, want: Want, parcel: Parcel, path: str, source: Source
    ) -> tuple[list[str], str]:
        """Send the missing parts; return the ids of all and the MD5."""
        cut = Cut(want.key.size, parcel.part_bytes)
        arrived = await self._writer.run(lambda db: parts.all_arrived(db, parcel.parcel_id))
        event = "upload_resumed" if arrived else "upload_begun"
        self._log.info(
            event,
            path=path,
            upload_id=parcel.upload_id,
            bytes=cut.size,
            parts=cut.count,
            parts_sent=len(arrived),
        )

        async def record(number: int, part: Part) -> None:
            await self._writer.run(lambda db: parts.arrived(db, parcel.parcel_id, number, part))

        assert parcel.upload_id is not None
        shipment = Shipment(
            self._remote,
            self._pace,
            self._clock,
            self._workers.run,
            upload_id=parcel.upload_id,
            spans=[cut.span(number) for number in range(cut.count)],
            cut=lambda offset, size: Slice(source, offset, size),
            survey=Survey(source, want.key.digest.partition(":")[0]),
            still=source.still,
            go_on=lambda: not self.is_held,
            connections=self._connections,
            record=record,
        )
        transfer = Transfer(
            path,
            cut,
            shipment,
            left_bytes=cut.size - sum(cut.span(number)[1] for number in arrived),
            expires_at=parcel.expires_at or 0.0,
            clock=self._clock,
        )
        self.transfer = transfer
        shipping = asyncio.ensure_future(shipment.run(arrived))
        watching = asyncio.ensure_future(self._watch(transfer))
        try:
            await asyncio.wait({shipping, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not shipping.done():
                await self._doom(want)
                raise watching.result()
            ids, digest, md5 = await shipping
        finally:
            self.transfer = None
            shipping.cancel()
            watching.cancel()
            await asyncio.gather(shipping, watching, return_exceptions=True)
        if digest != want.key.digest:
            raise SourceChanged("the bytes that were sent are not those that were planned")
        return ids, md5

    async def _watch(self, transfer: Transfer) -> RemoteError:
        """Return why a shipment is to be given up, as soon as it is clear that it will not be through in time."""
        told_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            is_down = self._pace.is_down or self._pace.open_in_seconds() > 0
            verdict = transfer.look(self._server_now(), is_down=is_down)
            if verdict is Outlook.START_OVER:
                return RemoteUnavailable(
                    "the API gives an upload in parts one hour, and too little is left of it"
                )
            if verdict is Outlook.TOO_SLOW:
                self.ways.measure(transfer.rate)
                return too_slow(transfer.cut.size, transfer.rate, "was measured")
            if self._clock.monotonic() - told_at >= TELL_SECONDS:
                told_at = self._clock.monotonic()
                self._log.info("sending", **transfer.facts())

    async def _remember(self, want: Want, error: PartsRefused) -> None:
        """Note that this endpoint takes no parts for a purpose, and that this Upload never began."""
        purpose, now = want.key.purpose, self._clock.wall()

        def record(db: sqlite3.Connection) -> None:
            self.ways.refuse(db, purpose, now)
            parts.doom(db, want.content_id)

        await self._writer.run(record)
        self._log.info("no_parts", purpose=purpose, error=error.message)

    async def _doom(self, want: Want) -> None:
        await self._writer.run(lambda db: parts.doom(db, want.content_id))

    def _is_alive(self, parcel: Parcel) -> bool:
        return parcel.expires_at is None or plan.is_alive(parcel.expires_at, self._server_now())

    def _server_now(self) -> float:
        return self._clock.wall() + self._remote.skew_seconds()
