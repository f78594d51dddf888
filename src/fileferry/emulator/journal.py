"""Remembers what was received, in order, so that a test can say what must have been sent."""

from collections import deque
from dataclasses import dataclass

__all__ = ["Journal", "ReceivedRequest"]

_MOST_ENTRIES = 100_000


@dataclass(slots=True)
class ReceivedRequest:
    """One request: written when its head arrives, completed as it is handled.

    `status` stays None when nothing was answered; `status` 499 is a client that left in the middle
    of its body. `at` is the server's clock, `at_monotonic` is not shifted by it.
    """

    seq: int
    at: float
    at_monotonic: float
    method: str
    path: str
    query: str
    project: str | None = None
    key_last4: str | None = None
    retry_count: str | None = None
    status: int | None = None
    purpose: str | None = None
    filename: str | None = None
    bytes: int | None = None
    file_id: str | None = None
    faults: tuple[str, ...] = ()


class Journal:
    """The last 100,000 requests."""

    def __init__(self) -> None:
        self._entries: deque[ReceivedRequest] = deque(maxlen=_MOST_ENTRIES)
        self._next_seq = 1

    def open(
        self, *, at: float, at_monotonic: float, method: str, path: str, query: str
    ) -> ReceivedRequest:
        """Write down that a request arrived."""
        entry = ReceivedRequest(self._next_seq, at, at_monotonic, method, path, query)
        self._next_seq += 1
        self._entries.append(entry)
        return entry

    def entries(self) -> list[ReceivedRequest]:
        """Return what arrived, oldest first."""
        return list(self._entries)

    def clear(self) -> None:
        """Forget what arrived."""
        self._entries.clear()
