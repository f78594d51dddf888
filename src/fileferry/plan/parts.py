"""How a large file is cut, and whether it can get through in the life that the API gives an Upload.

Sources: the API reference of `uploads` (64 MB a part, 8 GB in all, one hour from its creation).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

MOST_PART_BYTES = 64 * 1024**2
LEAST_PART_BYTES = 1024**2
ROUNDS = (
    4  # parts for each connection: so that all end together, and little is lost with the last one
)
LIFE_SECONDS = 3_600.0
MARGIN_SECONDS = 60.0  # of that life, for `complete` and for clocks that differ
TRIAL_SECONDS = 60.0  # so long a rate is watched before it is believed
DOUBT = 1.1  # a forecast has to miss by this factor before an upload is given up for it


@dataclass(frozen=True, slots=True)
class Cut:
    """A file in parts of equal size, but for the last.

    Args:
        size: bytes of the file, at least one.
        part_bytes: of a part.
    """

    size: int
    part_bytes: int

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-self.size // self.part_bytes)

    def span(self, number: int) -> tuple[int, int]:
        """Return where a part begins, counted from 0, and how many bytes it has."""
        offset = number * self.part_bytes
        return offset, min(self.part_bytes, self.size - offset)


class Outlook(Enum):
    """What a forecast says of an Upload that is under way."""

    IN_TIME = auto()
    START_OVER = auto()  # not in what is left of this one's life, but in a whole one
    TOO_SLOW = auto()  # not even in a whole one


def part_bytes(size: int, connections: int) -> int:
    """Return how large the parts of a file should be: whole MiB, within the API's limit."""
    wanted = -(-size // (connections * ROUNDS))
    rounded = -(-wanted // LEAST_PART_BYTES) * LEAST_PART_BYTES
    return min(max(rounded, LEAST_PART_BYTES), MOST_PART_BYTES)


def fits(size: int, bytes_per_second: float) -> bool:
    """Say whether so many bytes get through in one Upload's life; a rate of 0 is no limit."""
    return bytes_per_second <= 0 or size <= bytes_per_second * (LIFE_SECONDS - MARGIN_SECONDS)


def needed_rate(size: int) -> float:
    """Return the bytes per second that a file needs to be through in one Upload's life."""
    return size / (LIFE_SECONDS - MARGIN_SECONDS)


def is_alive(expires_at: float, server_now: float) -> bool:
    """Say whether it is worth going on with an Upload; in server seconds."""
    return server_now < expires_at - MARGIN_SECONDS


def outlook(
    *, size: int, left_bytes: int, moved_bytes: int, elapsed_seconds: float, left_seconds: float
) -> Outlook:
    """Forecast whether what is left gets through in time.

    Args:
        size: of the whole file.
        left_bytes: that are still to be sent.
        moved_bytes: that were sent in the time that was watched.
        elapsed_seconds: how long it was watched; too short a time says nothing.
        left_seconds: of the Upload's life.
    """
    left_seconds -= MARGIN_SECONDS
    if left_seconds <= 0:
        return (
            Outlook.TOO_SLOW if _never(size, moved_bytes, elapsed_seconds) else Outlook.START_OVER
        )
    if elapsed_seconds < TRIAL_SECONDS:
        return Outlook.IN_TIME
    rate = moved_bytes / elapsed_seconds
    if left_bytes <= rate * left_seconds * DOUBT:
        return Outlook.IN_TIME
    return Outlook.TOO_SLOW if _never(size, moved_bytes, elapsed_seconds) else Outlook.START_OVER


def _never(size: int, moved_bytes: int, elapsed_seconds: float) -> bool:
    if elapsed_seconds < TRIAL_SECONDS:
        return False
    return size > moved_bytes / elapsed_seconds * (LIFE_SECONDS - MARGIN_SECONDS)
