"""Tells the emulator's time: a wall clock that can be shifted, and a steady one for durations.

Expiry, `created_at`, the rate window and the `Date` header all follow the same shifted clock, so a
test can let thirty days pass in a moment. Nothing else in this package reads the time.
"""

import time
from collections.abc import Callable
from email.utils import formatdate

__all__ = ["Clock"]


class Clock:
    """The server's clock.

    Args:
        wall: Returns wall seconds since the epoch. The default is the system's clock.

    With an injected wall clock, durations are measured with it too: a simulation stays
    deterministic.
    """

    def __init__(self, wall: Callable[[], float] | None = None) -> None:
        # This is where the emulator's time enters; it shares no clock with the rest of fileferry.
        self._wall = wall or time.time  # noqa: TID251
        self._steady = wall or time.monotonic  # noqa: TID251
        self._date = (-1, b"")
        self.offset = 0.0

    def now(self) -> float:
        """Return wall seconds, shifted."""
        return self._wall() + self.offset

    def monotonic(self) -> float:
        """Return seconds that no shift touches."""
        return self._steady()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once; negative goes back."""
        self.offset += seconds

    def set(self, at: float) -> None:
        """Make the present moment `at` and let time go on from there."""
        self.offset = at - self._wall()

    def http_date(self) -> bytes:
        """Return the present as the value of a `Date` header (RFC 9110, 5.6.7)."""
        second = int(self.now())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]
