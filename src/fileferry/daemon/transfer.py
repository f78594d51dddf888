"""How far a file is that is sent in parts, and how fast it goes: for whoever watches, and to know when to give up."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from fileferry.clock import rfc3339
from fileferry.plan import parts as plan

if TYPE_CHECKING:
    from fileferry.clock import Clock
    from fileferry.plan.parts import Cut, Outlook
    from fileferry.remote.multipart import Shipment

RECENT_SAMPLES = 7  # of which the rate is taken that is shown


class Transfer:
    """One shipment, looked at again and again.

    Args:
        path: how the file is called in logs, `FOLDER:path`.
        cut: its parts.
        shipment: what sends the missing ones.
        left_bytes: of those that were missing when it began.
        expires_at: when the API forgets the Upload, server seconds.
        clock: monotonic time.
    """

    def __init__(
        self,
        path: str,
        cut: Cut,
        shipment: Shipment,
        *,
        left_bytes: int,
        expires_at: float,
        clock: Clock,
    ) -> None:
        self.path = path
        self.cut = cut
        self._shipment = shipment
        self._left_bytes = left_bytes
        self._expires_at = expires_at
        self._clock = clock
        self._busy_seconds = 0.0
        self._samples = deque([(clock.monotonic(), 0)], maxlen=RECENT_SAMPLES)

    @property
    def sent_bytes(self) -> int:
        """Return how much of the file is at the API, parts under way included."""
        return self.cut.size - self._left_bytes + self._shipment.moved_bytes

    @property
    def bytes_per_second(self) -> float:
        """Return how fast it went lately."""
        began, moved = self._samples[0]
        elapsed = self._clock.monotonic() - began
        return max(0.0, (self._shipment.moved_bytes - moved) / elapsed) if elapsed > 0 else 0.0

    @property
    def rate(self) -> float:
        """Return how fast it went whenever the API answered, in bytes a second."""
        return self._shipment.moved_bytes / self._busy_seconds if self._busy_seconds else 0.0

    def look(self, server_now: float, *, is_down: bool) -> Outlook:
        """Forecast whether it will be through in time.

        Args:
            server_now: server seconds.
            is_down: the API cannot be reached: time that passes so says nothing of the line.
        """
        now = self._clock.monotonic()
        if not is_down:
            self._busy_seconds += now - self._samples[-1][0]
        self._samples.append((now, self._shipment.moved_bytes))
        return plan.outlook(
            size=self.cut.size,
            left_bytes=self._left_bytes - self._shipment.moved_bytes,
            moved_bytes=self._shipment.moved_bytes,
            elapsed_seconds=self._busy_seconds,
            left_seconds=self._expires_at - server_now,
        )

    def facts(self) -> dict[str, Any]:
        """Return what to say of it. Sizes in bytes; new keys may appear."""
        rate = round(self.bytes_per_second)
        return {
            "path": self.path,
            "bytes": self.cut.size,
            "bytes_sent": self.sent_bytes,
            "parts": self.cut.count,
            "parts_sent": self._shipment.arrived_parts,
            "bytes_per_second": rate,
            "seconds_left": round((self.cut.size - self.sent_bytes) / rate) if rate else None,
            "upload_expires_at": rfc3339(self._expires_at),
        }
