"""The way that a content takes: in one piece or in parts, as far as the endpoint and the line allow.

What an endpoint said once of a purpose is remembered with its address, in the index; how fast the line was is
remembered for an hour, by this process.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fileferry.errors import PartsRefused, TooSlow
from fileferry.index import folders
from fileferry.plan import parts as plan
from fileferry.plan.rules import FILES_LIMIT_BYTES

if TYPE_CHECKING:
    import sqlite3

    from fileferry.clock import Clock
    from fileferry.index.writer import Writer
    from fileferry.model import ContentKey, RemoteSettings
    from fileferry.remote.bandwidth import Throttle

REFUSED_KEY = (
    "no_parts"  # and the endpoint: purposes that it takes no parts for, and when it said so
)
REMEMBERED_SECONDS = 30 * 86_400.0
MEASURED_SECONDS = 3_600.0


class Ways:
    """Knows which way a content takes.

    Args:
        writer, clock: collaborators.
        settings: the threshold, the endpoint.
        throttle: the bandwidth, which may change.
    """

    def __init__(
        self, *, writer: Writer, clock: Clock, settings: RemoteSettings, throttle: Throttle
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._throttle = throttle
        self._refused: dict[str, float] = {}
        self._is_recalled = False
        self._measured: tuple[float, float] | None = None  # bytes a second, and when

    async def recall(self) -> None:
        """Learn from the index for which purposes this endpoint takes no parts, unless that is known."""
        if self._is_recalled:
            return
        self._is_recalled = True
        key = self._refused_key
        text = await self._writer.run(lambda db: folders.meta(db, key))
        since = self._clock.wall() - REMEMBERED_SECONDS
        self._refused = {
            purpose: at for purpose, at in json.loads(text or "{}").items() if at > since
        }

    def doubt(self) -> None:
        """Somebody asks to try again: what is in the index may have been forgotten."""
        self._is_recalled = False

    def takes_parts(self, key: ContentKey) -> bool:
        """Say whether a content goes in parts; what is over the limit of `POST /files` has no other way."""
        if key.size <= self._settings.multipart_threshold_bytes:
            return False
        if key.size > FILES_LIMIT_BYTES:
            return True
        return key.purpose not in self._refused and plan.fits(key.size, self._rate())

    def check(self, key: ContentKey) -> None:
        """Raise what can be known of a content that has to go in parts before any of it is sent.

        Raises:
            PartsRefused: the endpoint takes none of its purpose.
            TooSlow: the bandwidth is too low for its size.
        """
        if key.purpose in self._refused:
            raise no_way(key)
        limit = self._throttle.bytes_per_second
        if not plan.fits(key.size, limit):
            raise too_slow(key.size, limit, "is what [remote] bandwidth allows")

    def refuse(self, db: sqlite3.Connection, purpose: str, now: float) -> None:
        """Remember that this endpoint takes no parts of a purpose, since a wall second."""
        self._refused.setdefault(purpose, now)
        folders.set_meta(db, self._refused_key, json.dumps(self._refused))

    def measure(self, bytes_per_second: float) -> None:
        """Remember a rate that was too low."""
        self._measured = (bytes_per_second, self._clock.monotonic())

    def _rate(self) -> float:
        """Return the rate to expect: the limit, or what was found too slow of late; 0: nothing is known."""
        limit = float(self._throttle.bytes_per_second)
        if self._measured is None:
            return limit
        rate, at = self._measured
        if self._clock.monotonic() - at > MEASURED_SECONDS:
            return limit
        return min(rate, limit) if limit else rate

    @property
    def _refused_key(self) -> str:
        return f"{REFUSED_KEY} {self._settings.base_url}"


def forget_refusals(db: sqlite3.Connection) -> None:
    """Forget what endpoints said: they are asked again."""
    db.execute("DELETE FROM meta WHERE key GLOB ?", (f"{REFUSED_KEY} *",))


def no_way(key: ContentKey) -> PartsRefused:
    """Return why a content that is too large for one piece cannot go in parts either."""
    return PartsRefused(
        f"the API takes over {FILES_LIMIT_BYTES:,} bytes only in parts, and no parts for purpose `{key.purpose}`:"
        " a `[[folder.rule]]` can give it another"
    )


def too_slow(size: int, rate: float, how: str) -> TooSlow:
    """Return why a file cannot get through; `how` ends the sentence that begins with the rate."""
    return TooSlow(
        f"the API gives {size:,} bytes in parts one hour: that needs {plan.needed_rate(size) / 1e6:.2f} MB"
        f" a second, and {rate / 1e6:.2f} MB {how}",
        hint="raise [remote] bandwidth, or leave the file out",
    )
