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
LEAST_WAIT_SECONDS = 0.001
BURST_SHARE = 0.2  # so that the rate that lasts is the 80 % that renewals are planned with
HAIR = 1e-9  # of a token: a wait that rounding made too short for any clock would never end
DELETE_SHARE = 0.3


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
        if self._tokens >= 1.0 - HAIR:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._refill

    def empty(self, now: float) -> None:
        """Give up what could be taken at once."""
        self._tokens = 0.0
        self._at = now


class Slots:
    """How many uploads may be under way: halved when the API is pressed, one more after as many successes.

    Attributes:
        allowed: how many at once now, from 1 to `most`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._successes = 0
        self._halved_at = float("-inf")
        self._freed = asyncio.Condition()
        self.allowed = most

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._used < self.allowed)
            self._used += 1
        try:
            yield
        finally:
            self._used -= 1
            async with self._freed:
                self._freed.notify_all()  # more than one may have room, once more are allowed

    def fewer(self, now: float) -> None:
        """Halve, once for all failures of the same second."""
        self._successes = 0
        if now - self._halved_at >= 1.0:
            self._halved_at = now
            self.allowed = max(1, self.allowed // 2)

    def more(self) -> None:
        """Note a success."""
        self._successes += 1
        if self._successes >= self.allowed and self.allowed < self._most:
            self._successes = 0
            self.allowed += 1


class Pace:
    """Says when the next call may start, and learns from what became of the last ones.

    Deletes and the rest have limits of their own, in the proportion in which the API's users have met them: 300
    deletes, and 1,000 of the others, to 1,000 uploads a minute.

    Args:
        clock: monotonic time and sleep.
        uploads_per_minute: the published limit; 0 for no limits at all.
        concurrency: uploads at once, at most.
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
        now = clock.monotonic()
        self._clock = clock
        self._uploads = Bucket(uploads_per_minute, now=now)
        self._deletes = Bucket(_share(uploads_per_minute, DELETE_SHARE), now=now)
        self._others = Bucket(uploads_per_minute, now=now)
        self._slots = Slots(concurrency)
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

    def rest(self, seconds: float) -> None:
        """Make no call for a while: the server said that nothing is left of its limit."""
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)

    def continue_minute(self) -> None:
        """Begin with nothing at once: a process before this one sent uploads less than a minute ago."""
        self._uploads.empty(self._clock.monotonic())

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[None]:
        """Wait for a slot and a token, then let one upload happen."""
        async with self._slots.one():
            async with self._turn:
                await self._pass(self._uploads)
                if self.is_down:
                    # One probe, not one for each slot: the others wait for their turn meanwhile.
                    async with self._learning():
                        yield
                    return
            async with self._learning():
                yield

    @asynccontextmanager
    async def delete(self) -> AsyncIterator[None]:
        """Wait for a token, then let one delete happen."""
        await self._pass(self._deletes)
        async with self._learning():
            yield

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Wait for a token, then let one other call happen."""
        await self._pass(self._others)
        async with self._learning():
            yield

    async def _pass(self, bucket: Bucket) -> None:
        while wait := self.open_in_seconds() or bucket.take(self._clock.monotonic()):
            await self._clock.sleep(wait)

    @asynccontextmanager
    async def _learning(self) -> AsyncIterator[None]:
        before = self.failures
        try:
            yield
        except RemoteUnavailable as error:
            if error.reached:
                self._slots.fewer(self._clock.monotonic())
            self._note(error, error.retry_after_seconds, before)
            raise
        except OutcomeUnknown as error:
            self._slots.fewer(self._clock.monotonic())
            self._note(error, None, before)
            raise
        except RemoteError:
            self._well()
            raise
        else:
            self._slots.more()
            self._well()

    def _note(self, error: RemoteError, retry_after: float | None, before: int) -> None:
        # Calls that were under way together fail together: that is one failure in a row, not one for each.
        self.failures = max(self.failures, before + 1)
        self.last_error = error
        wait = retry_after if retry_after is not None else self.delay_seconds(self.failures)
        self._closed_until = max(self._closed_until, self._clock.monotonic() + wait)

    def _well(self) -> None:
        self.failures = 0
        self.last_error = None


def _share(per_minute: int, share: float) -> int:
    return max(1, round(per_minute * share)) if per_minute > 0 else 0
