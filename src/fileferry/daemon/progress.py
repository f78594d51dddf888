"""Counters of a running engine, for progress bars, status and the summary of a pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileferry.errors import RemoteError


@dataclass(slots=True)
class Progress:
    """What this process has done since its start. Sizes in bytes."""

    seen: int = 0
    linked: int = 0
    sent_files: int = 0
    sent_bytes: int = 0
    deleted: int = 0
    renewed: int = 0
    lost: int = 0
    in_flight_files: int = 0
    in_flight_bytes: int = 0
    last_failure: RemoteError | None = field(default=None)

    def began(self, size: int) -> None:
        """Note that an upload begins."""
        self.in_flight_files += 1
        self.in_flight_bytes += size

    def ended(self, size: int) -> None:
        """Note that an upload ended, one way or the other."""
        self.in_flight_files -= 1
        self.in_flight_bytes -= size

    def sent(self, size: int) -> None:
        """Note that an upload was recorded."""
        self.sent_files += 1
        self.sent_bytes += size
        self.last_failure = None

    def failed(self, error: RemoteError) -> None:
        """Note that an upload failed."""
        self.last_failure = error
