"""When a call may be made: the rate in any 60 seconds, what the server asks for, one probe when it is down.

The rate is a bucket: a fifth of the limit at once, the rest spread over the minute, so that burst and refill
together stay under the limit in every window, not only on average.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fileferry.errors import OutcomeUnknown, RemoteError, RemoteUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fileferry.clock import Clock

WINDOW_SECONDS = 60.0
BURST_SHARE = 0.2


class Bucket:
    """Tokens for calls: `per_minute` in any 60 seconds; 0 means no limit. Times are monotonic seconds."""

    def __init__(self, per_minute: int, *, now: float) -> None:
        self._limited = per_minute > 0
        self._burst = max(1.0, per_minute * BURST_SHARE)
        self._refill = max(per_minute - self._burst, 0.0) / WINDOW_SECONDS or 1 / WINDOW_SECONDS
        self._tokens = self._burst
        self._at = now

    def take(self, now: float) -> float:
        """Take a token, or return how many seconds to wait before asking again; 0.0 means taken."""
        if not self._limited:
            return 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._refill)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._refill


class Pace:
    """Says when the next call may start, and learns from what became of the last ones.

    Args:
        clock: monotonic time and sleep.
        uploads_per_minute: the published limit; 0 for none.
        concurrency: uploads at once.
        delay: seconds to wait after n failures in a row.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        uploads_per_minute: int,
        concurrency: int,
        delay: Callable[[int], float],
    ) -> None:
        self._clock = clock
        self._bucket = Bucket(uploads_per_minute, now=clock.monotonic())
        self._slots = asyncio.Semaphore(concurrency)
        self._turn = asyncio.Lock()
        self.delay_seconds = delay
        self.failures = 0
        self._closed_until = 0.0
        self.last_error: RemoteError | None = None

    @property
    def is_down(self) -> bool:
        """Say whether the last call found nobody."""
        return self.failures > 0

    def open_in_seconds(self) -> float:
        """Return how long no call should be made; 0.0 when one may be."""
        return max(0.0, self._closed_until - self._clock.monotonic())

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[None]:
        """Wait for a slot and a token, then let one upload happen."""
        async with self._slots:
            async with self._turn:
                while wait := self.open_in_seconds() or self._bucket.take(self._clock.monotonic()):
                    await self._clock.sleep(wait)
                if self.is_down:
                    # One probe, not one for each slot: the others wait for their turn meanwhile.
                    async with self.call():
                        yield
                    return
            async with self.call():
                yield

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Let one call happen and learn from it; while the API is down, one at a time."""
        try:
            yield
        except RemoteUnavailable as error:
            self._note(error, error.retry_after_seconds)
            raise
        except OutcomeUnknown as error:
            self._note(error, None)
            raise
        except RemoteError:
            self._well()
            raise
        else:
            self._well()

    def _note(self, error: RemoteError, retry_after: float | None) -> None:
        self.failures += 1
        self.last_error = error
        wait = retry_after if retry_after is not None else self.delay_seconds(self.failures)
        self._closed_until = max(self._closed_until, self._clock.monotonic() + wait)

    def _well(self) -> None:
        self.failures = 0
        self.last_error = None
