"""When a call may be made: the rate in any 60 seconds, what the server asks for, one probe when it is down.

The rate is a bucket that remembers the last minute: a quarter of the limit at once, the rest spread over what is left
of the minute, and evenly after that, so that no window sees more than the limit and none of it is wasted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fileferry.errors import OutcomeUnknown, RemoteError, RemoteUnavailable
from fileferry.remote.bandwidth import Throttle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from fileferry.clock import Clock

WINDOW_SECONDS = 61.0  # a second more than a minute: calls are late on their way, not all alike
BURST_SHARE = 0.25
HAIR_SECONDS = 1e-6  # a wait that rounding made too short for any clock would never end
DELETE_SHARE = 0.3
LEAST_OTHERS = (
    60  # a minute: a greeting, a listing and a few questions, however few uploads are allowed
)


class Bucket:
    """Room for calls: so many in any 60 seconds; 0 means no limit. Times are monotonic seconds.

    Args:
        per_minute: the limit.

    Attributes:
        per_minute: as given; may be set at any time.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._taken: deque[float] = deque()

    @property
    def burst(self) -> int:
        """Return how many may go at once after a minute without any."""
        return max(1, int(self.per_minute * BURST_SHARE))

    def take(self, now: float) -> float:
        """Take a place, or return how many seconds to wait before asking again; 0.0 means taken."""
        if self.per_minute <= 0:
            return 0.0
        taken = self._taken
        while taken and taken[0] <= now - WINDOW_SECONDS:
            taken.popleft()
        if len(taken) >= self.burst and (wait := self._opens_at() - now) > HAIR_SECONDS:
            return wait
        taken.append(now)
        return 0.0

    def recall(self, moments: Iterable[float]) -> None:
        """Count calls that were made before, by a process before this one: they are in the window too."""
        self._taken = deque(sorted([*self._taken, *moments]))

    def _opens_at(self) -> float:
        """Return when the next call may be made, so that all that are left are spread until the oldest is forgotten."""
        free = self.per_minute - len(self._taken)
        last, leaves = self._taken[-1], self._taken[max(0, -free)] + WINDOW_SECONDS
        free = max(0, free)
        evenly = last + WINDOW_SECONDS / self.per_minute
        return max(evenly, (free * last + leaves) / (free + 1))


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
        self._freed = asyncio.Event()
        self.allowed = most

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        while self._used >= self.allowed:
            self._freed.clear()
            await self._freed.wait()
        self._used += 1
        try:
            yield
        finally:
            self._used -= 1
            self._freed.set()  # for all: more than one may have room, once more are allowed

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


class Lane:
    """Calls of one kind: they take their turn, so that none is passed over, and share one limit."""

    def __init__(self, per_minute: int) -> None:
        self.bucket = Bucket(per_minute)
        self.turn = asyncio.Lock()


class Pace:
    """Says when the next call may start, and learns from what became of the last ones.

    Deletes and the rest have limits of their own, in the proportion in which the API's users have met them: 300
    deletes, and 1,000 of the others, to 1,000 uploads a minute.

    Args:
        clock: monotonic time and sleep.
        uploads_per_minute: the published limit; 0 for no limits at all.
        concurrency: uploads at once, at most.
        delay: seconds to wait after n failures in a row.
        throttle: limits the bytes a second of all uploads; without one there is no limit.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        uploads_per_minute: int,
        concurrency: int,
        delay: Callable[[int], float],
        throttle: Throttle | None = None,
    ) -> None:
        self._clock = clock
        self._uploads = Lane(uploads_per_minute)
        self._deletes = Lane(_deletes(uploads_per_minute))
        self._others = Lane(_others(uploads_per_minute))
        for lane in (self._deletes, self._others):
            # Nobody wrote down when the last of them were made: all but one of what may go at once may have gone.
            lane.bucket.recall([clock.monotonic()] * (lane.bucket.burst - 1))
        self._slots = Slots(concurrency)
        self._probe = asyncio.Lock()
        self.delay_seconds = delay
        self.throttle = throttle or Throttle(clock, 0)
        self.failures = 0
        self._closed_until = 0.0
        self._told_until = 0.0
        self._reopened = asyncio.Event()
        self.last_error: RemoteError | None = None

    @property
    def is_down(self) -> bool:
        """Say whether the last call found nobody."""
        return self.failures > 0

    def open_in_seconds(self) -> float:
        """Return how long no call should be made; 0.0 when one may be."""
        return max(0.0, self._closed_until - self._clock.monotonic())

    def told_in_seconds(self) -> float:
        """Return for how long the server asked for no call; 0.0 when it did not."""
        return max(0.0, self._told_until - self._clock.monotonic())

    def rest(self, seconds: float) -> None:
        """Make no call for a while: the server said that nothing is left of its limit."""
        self._told_until = max(self._told_until, self._clock.monotonic() + seconds)
        self._closed_until = max(self._closed_until, self._told_until)

    def reopen(self) -> None:
        """Forget what the server asked for: somebody wants to try again now. Who waits for it goes on."""
        self._told_until = self._closed_until = 0.0
        self._reopened.set()
        self._reopened = asyncio.Event()

    async def until_open(self) -> None:
        """Wait until a call may be made, as far as the server's wishes and its failures are concerned."""
        while wait := self.open_in_seconds():
            if not self.told_in_seconds():
                await self._clock.sleep(wait)  # of our own making, and short
                continue
            waking = asyncio.ensure_future(self._reopened.wait())
            sleeping = asyncio.ensure_future(self._clock.sleep(wait))
            try:
                await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waking.cancel()
                sleeping.cancel()
                await asyncio.gather(waking, sleeping, return_exceptions=True)

    def limit(self, uploads_per_minute: int) -> None:
        """Change the limits from now on; what was sent in the last minute counts."""
        self._uploads.bucket.per_minute = uploads_per_minute
        self._deletes.bucket.per_minute = _deletes(uploads_per_minute)
        self._others.bucket.per_minute = _others(uploads_per_minute)

    def recall_uploads(self, ages_seconds: Iterable[float]) -> None:
        """Keep the limit over a restart: so long ago, a process before this one began uploads."""
        now = self._clock.monotonic()
        self._uploads.bucket.recall(now - age for age in ages_seconds)

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[None]:
        """Wait for a slot and for room, then let one upload happen."""
        async with self._slots.one(), self._one(self._uploads):
            yield

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        """Wait for room, then let one call happen that belongs to an upload: it counts as one."""
        async with self._one(self._uploads):
            yield

    @asynccontextmanager
    async def delete(self) -> AsyncIterator[None]:
        """Wait for room, then let one delete happen."""
        async with self._one(self._deletes):
            yield

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Wait for room, then let one other call happen."""
        async with self._one(self._others):
            yield

    @asynccontextmanager
    async def _one(self, lane: Lane) -> AsyncIterator[None]:
        async with AsyncExitStack() as until_it_ended:
            is_probe = False
            async with lane.turn:
                while True:
                    if self.open_in_seconds():
                        await self.until_open()
                    elif self.is_down and not is_probe:
                        # One asks for all: the others wait until it knows.
                        await until_it_ended.enter_async_context(self._probe)
                        is_probe = True
                    elif wait := lane.bucket.take(self._clock.monotonic()):
                        await self._clock.sleep(wait)
                    else:
                        break
            async with self._learning():
                yield

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
            self._note(error, error.retry_after_seconds, before)
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
        if retry_after is not None:
            self.rest(retry_after)
            return
        wait = self.delay_seconds(self.failures)
        self._closed_until = max(self._closed_until, self._clock.monotonic() + wait)

    def _well(self) -> None:
        self.failures = 0
        self.last_error = None


def _deletes(uploads_per_minute: int) -> int:
    return max(1, round(uploads_per_minute * DELETE_SHARE)) if uploads_per_minute > 0 else 0


def _others(uploads_per_minute: int) -> int:
    return max(LEAST_OTHERS, uploads_per_minute) if uploads_per_minute > 0 else 0
