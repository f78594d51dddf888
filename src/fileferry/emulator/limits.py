"""Counts requests in a sliding minute and says when the next one may come.

The window is strict: never more than the limit is admitted in any 60 seconds of one key. Refused
requests count as well ("unsuccessful requests contribute to your per-minute limit"), but they never
take more than half of the limit: otherwise a crowd that comes back one by one, each at the moment
it was told, would keep itself out for ever.
"""

import math
from collections import deque
from dataclasses import dataclass, field

__all__ = ["RateLimiter", "Verdict"]

_WINDOW_SECONDS = 60.0
# A client that sleeps exactly as long as it was told must not lose to the rounding of a float.
_TOLERANCE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what the headers say about it."""

    is_admitted: bool
    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """Return the x-ratelimit headers."""
        minutes, seconds = divmod(self.reset_seconds, 60)
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": f"{minutes}m{seconds}s" if minutes else f"{seconds}s",
        }


@dataclass(slots=True)
class _Window:
    moments: deque[tuple[float, bool]] = field(default_factory=deque)
    refused: int = 0


class RateLimiter:
    """One sliding window per key."""

    def __init__(self, requests_per_minute: int | None) -> None:
        self.limit = requests_per_minute or None
        self._windows: dict[str, _Window] = {}

    def ask(self, key: str, now: float) -> Verdict | None:
        """Count a request of `key`; None when there is no limit."""
        if self.limit is None:
            return None
        window = self._windows.setdefault(key, _Window())
        self._forget(window, now)
        is_admitted = len(window.moments) < self.limit
        if is_admitted:
            window.moments.append((now, True))
        elif window.refused < self.limit // 2:
            window.moments.append((now, False))
            window.refused += 1
        return Verdict(
            is_admitted,
            self.limit,
            max(0, self.limit - len(window.moments)),
            self._wait(window, now, self.limit),
        )

    @staticmethod
    def _forget(window: _Window, now: float) -> None:
        if window.moments and window.moments[-1][0] > now:
            # The clock was set back: what it said before is void.
            window.moments.clear()
            window.refused = 0
        horizon = now - _WINDOW_SECONDS + _TOLERANCE_SECONDS
        while window.moments and window.moments[0][0] <= horizon:
            _, was_admitted = window.moments.popleft()
            window.refused -= not was_admitted

    @staticmethod
    def _wait(window: _Window, now: float, limit: int) -> int:
        """Return the whole seconds until one more request fits, at least 1."""
        if len(window.moments) < limit:
            return 1
        blocking, _ = window.moments[len(window.moments) - limit]
        return max(1, math.ceil(blocking + _WINDOW_SECONDS - now - _TOLERANCE_SECONDS / 2))
