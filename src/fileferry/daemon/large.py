"""Large files: which go in parts, and how one gets through whatever comes between.

An Upload lives an hour. What was sent of it is in the index, so that a lost connection or a crash costs no more than
the parts that were under way. What cannot be through in an hour is not begun again and again: the reason names the
rate that it would need, and it is tried again at most hourly.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from fileferry.errors import (
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
from fileferry.index import folders, parts
from fileferry.local.slices import Slice, Survey
from fileferry.plan import parts as plan
from fileferry.plan.parts import Cut, Outlook
from fileferry.plan.rules import FILES_LIMIT_BYTES
from fileferry.remote.multipart import Shipment

if TYPE_CHECKING:
    import sqlite3

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.opening import Opened
    from fileferry.daemon.workers import Workers
    from fileferry.errors import RemoteError
    from fileferry.index.contents import Want
    from fileferry.index.parts import Parcel
    from fileferry.index.writer import Writer
    from fileferry.local.reader import Source
    from fileferry.model import ContentKey, Part, RemoteFile, RemoteSettings
    from fileferry.remote.base import Remote, Upload
    from fileferry.remote.pacing import Pace

REFUSED_KEY = (
    "no_parts"  # and the endpoint: purposes that it takes no parts for, with when it said so
)
REMEMBERED_SECONDS = 30 * 86_400.0
MEASURED_SECONDS = 3_600.0
WATCH_SECONDS = 5.0


class LargeFiles:
    """Sends files in parts.

    Args:
        remote, pace, writer, workers, clock, log: collaborators.
        settings: the threshold, the number of connections, the bandwidth, the endpoint.
    """

    def __init__(
        self,
        *,
        remote: Remote,
        pace: Pace,
        writer: Writer,
        workers: Workers,
        clock: Clock,
        settings: RemoteSettings,
        log: Log,
    ) -> None:
        self._remote = remote
        self._pace = pace
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._settings = settings
        self._log = log
        self._refused: dict[str, float] = {}
        self._measured: tuple[float, float] | None = None  # bytes a second, and when

    async def recall(self) -> None:
        """Learn from the index for which purposes this endpoint takes no parts."""
        key = self._refused_key
        text = await self._writer.run(lambda db: folders.meta(db, key))
        since = self._clock.wall() - REMEMBERED_SECONDS
        self._refused = {
            purpose: at for purpose, at in json.loads(text or "{}").items() if at > since
        }

    def takes(self, key: ContentKey) -> bool:
        """Say whether a content goes in parts; what is over the limit of `POST /files` has no other way."""
        if key.size <= self._settings.multipart_threshold_bytes:
            return False
        if key.size > FILES_LIMIT_BYTES:
            return True
        return key.purpose not in self._refused and plan.fits(key.size, self._rate())

    def resumable(
        self, db: sqlite3.Connection, want: Want, life_seconds: int | None
    ) -> Parcel | None:
        """Return the Upload that was left when a content was sent last, if it may go on."""
        if not self.takes(want.key):
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
            part_bytes=plan.part_bytes(upload.size, self._settings.part_concurrency),
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
            self._check(want.key)
            if not is_resumed:
                parcel = await self._begin(parcel, upload)
            ids, md5 = await self._ship(want, parcel, source)
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
        except PartsRefused:
            await self._remember(want)
            raise
        except RemoteRefused as error:
            await self._doom(want)
            if opened.completing and parcel.state == "completing":
                raise OutcomeUnknown(f"an earlier answer was lost: {error.message}") from error
            is_over = isinstance(error, RemoteMissing) or not self._is_alive(parcel)
            if is_resumed or is_over:
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

    async def _ship(self, want: Want, parcel: Parcel, source: Source) -> tuple[list[str], str]:
        """Send the missing parts; return the ids of all and the MD5."""
        cut = Cut(want.key.size, parcel.part_bytes)
        arrived = await self._writer.run(lambda db: parts.all_arrived(db, parcel.parcel_id))
        if arrived:
            self._log.info("resumed", upload_id=parcel.upload_id, parts=len(arrived), of=cut.count)

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
            connections=self._settings.part_concurrency,
            record=record,
        )
        left_bytes = cut.size - sum(cut.span(number)[1] for number in arrived)
        shipping = asyncio.ensure_future(shipment.run(arrived))
        watching = asyncio.ensure_future(self._watch(parcel, shipment, cut.size, left_bytes))
        try:
            await asyncio.wait({shipping, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not shipping.done():
                await self._doom(want)
                raise watching.result()
            ids, digest, md5 = await shipping
        finally:
            shipping.cancel()
            watching.cancel()
            await asyncio.gather(shipping, watching, return_exceptions=True)
        if digest != want.key.digest:
            raise SourceChanged("the bytes that were sent are not those that were planned")
        return ids, md5

    async def _watch(
        self, parcel: Parcel, shipment: Shipment, size: int, left_bytes: int
    ) -> RemoteError:
        """Return why a shipment is to be given up, as soon as it is clear that it will not be through in time."""
        began = self._clock.monotonic()
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            elapsed = self._clock.monotonic() - began
            verdict = plan.outlook(
                size=size,
                left_bytes=left_bytes - shipment.moved_bytes,
                moved_bytes=shipment.moved_bytes,
                elapsed_seconds=elapsed,
                left_seconds=(parcel.expires_at or 0.0) - self._server_now(),
            )
            if verdict is Outlook.START_OVER:
                return RemoteUnavailable(
                    "the API gives an upload in parts one hour, and too little is left of it"
                )
            if verdict is Outlook.TOO_SLOW:
                rate = shipment.moved_bytes / elapsed
                self._measured = (rate, self._clock.monotonic())
                return _too_slow(size, rate, "was measured")

    def _check(self, key: ContentKey) -> None:
        """Raise what can be known before anything is sent."""
        if key.purpose in self._refused:
            raise PartsRefused(
                f"the API takes over {FILES_LIMIT_BYTES:,} bytes only in parts, and no parts for"
                f" purpose `{key.purpose}`",
                hint="a `[[folder.rule]]` can give such files another purpose, or leave them out",
            )
        limit = self._settings.bandwidth_bytes_per_second
        if not plan.fits(key.size, limit):
            raise _too_slow(key.size, limit, "is what [remote] bandwidth allows")

    def _rate(self) -> float:
        """Return the rate to expect: the limit, or what was found too slow of late; 0: nothing is known."""
        limit = float(self._settings.bandwidth_bytes_per_second)
        if self._measured is None:
            return limit
        rate, at = self._measured
        if self._clock.monotonic() - at > MEASURED_SECONDS:
            return limit
        return min(rate, limit) if limit else rate

    async def _remember(self, want: Want) -> None:
        """Note that this endpoint takes no parts for a purpose, and that this Upload never began."""
        self._refused.setdefault(want.key.purpose, self._clock.wall())
        key, text = self._refused_key, json.dumps(self._refused)

        def record(db: sqlite3.Connection) -> None:
            folders.set_meta(db, key, text)
            parts.doom(db, want.content_id)

        await self._writer.run(record)
        self._log.info("no_parts", purpose=want.key.purpose)

    async def _doom(self, want: Want) -> None:
        await self._writer.run(lambda db: parts.doom(db, want.content_id))

    @property
    def _refused_key(self) -> str:
        return f"{REFUSED_KEY} {self._settings.base_url}"

    def _is_alive(self, parcel: Parcel) -> bool:
        return parcel.expires_at is None or plan.is_alive(parcel.expires_at, self._server_now())

    def _server_now(self) -> float:
        return self._clock.wall() + self._remote.skew_seconds()


def _too_slow(size: int, rate: float, how: str) -> TooSlow:
    return TooSlow(
        f"the API gives {size:,} bytes in parts one hour: that needs {plan.needed_rate(size) / 1e6:.2f} MB"
        f" a second, and {rate / 1e6:.2f} MB {how}",
        hint="raise [remote] bandwidth, or leave the file out",
    )
