"""The only use of time: wall seconds for what is stored, monotonic seconds for what is waited for.

Everything that needs time is given a Clock, so that tests can move it.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def wall(self) -> float:
        """Seconds since 1970, UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds, and at once when there are none."""


class SystemClock:
    """The machine's own clock."""

    def wall(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()  # noqa: TID251 - here is where time comes from

    def monotonic(self) -> float:
        """Seconds since boot or so."""
        return time.monotonic()  # noqa: TID251

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await asyncio.sleep(max(0.0, seconds))


def rfc3339(wall_seconds: float) -> str:
    """Write a moment the way every fact of ours is printed: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(wall_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
