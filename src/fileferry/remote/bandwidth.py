"""A limit on bytes per second, over all uploads together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileferry.clock import Clock


class Throttle:
    """Lets bytes pass at a rate, evenly: each piece books the time that it takes and waits for its turn.

    Args:
        clock: monotonic time and sleep.
        bytes_per_second: the rate; 0 lets everything pass. May be set while uploads run.
    """

    def __init__(self, clock: Clock, bytes_per_second: int) -> None:
        self._clock = clock
        self._free_at = clock.monotonic()
        self.bytes_per_second = bytes_per_second

    async def take(self, size: int) -> None:
        """Return when `size` more bytes may be sent."""
        if self.bytes_per_second <= 0:
            return
        now = self._clock.monotonic()
        turn = max(now, self._free_at)
        self._free_at = turn + size / self.bytes_per_second
        if turn > now:
            await self._clock.sleep(turn - now)
