"""How long to wait after the n-th failure in a row: doubling, with full jitter, to a cap of five minutes."""

from __future__ import annotations

BASE_SECONDS = 0.5
CAP_SECONDS = 300.0


def ceiling_seconds(failures: int) -> float:
    """Return the longest wait after so many failures."""
    return float(min(CAP_SECONDS, BASE_SECONDS * 2 ** min(failures, 20)))


def delay_seconds(failures: int, jitter: float) -> float:
    """Return the wait after so many failures.

    Args:
        failures: in a row, from 1.
        jitter: a random number in [0, 1).
    """
    return ceiling_seconds(failures) * (0.1 + 0.9 * jitter)
