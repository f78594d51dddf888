"""When an id that expires needs a younger one, and when to begin so that the last of many is still in time.

All times are server seconds: `expires_at` is the server's, and the caller adds the skew of its own clock.

An id is renewed with a quarter of its life left, at least 15 minutes and at most a day before it ends. Ids that were
made together come due together, and uploads are limited: so the schedule is laid backwards from those moments at 80 %
of the rate, earliest first. New uploads have the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE_LEFT = 0.25
LEAST_SECONDS = 900
MOST_SECONDS = 86_400
LEAST_RETRY_SECONDS = 60.0
MOST_RETRY_SECONDS = 3_600.0
RATE_SHARE = 0.8


def renew_at(*, created_at: float, expires_at: float | None) -> float | None:
    """Return by when the bytes should be on their way again.

    Args:
        created_at: when the remote file was made.
        expires_at: when the API will delete it, or None for never.
    """
    if expires_at is None:
        return None
    life = expires_at - created_at
    margin = min(max(SHARE_LEFT * life, LEAST_SECONDS), MOST_SECONDS)
    return float(max(created_at, expires_at - margin))


def retry_seconds(left: float) -> float:
    """Return how long to wait before a renewal that was refused is tried again.

    Args:
        left: seconds for which the id still lives.
    """
    return min(max(SHARE_LEFT * left, LEAST_RETRY_SECONDS), MOST_RETRY_SECONDS)


def per_second(uploads_per_minute: int) -> float:
    """Return how many renewals a second may be planned with; infinite where uploads are not limited."""
    return uploads_per_minute * RATE_SHARE / 60 if uploads_per_minute > 0 else float("inf")


def latest_starts(due: Sequence[float], rate: float) -> list[float]:
    """Return when each renewal has to begin at the latest, so that all of them are in time.

    Args:
        due: by when each should be on its way, in ascending order.
        rate: renewals a second.

    Returns:
        As many moments, in the same order, never descending and never closer than the rate allows.
    """
    spacing = 1.0 / rate
    starts = [0.0] * len(due)
    following = float("inf")
    for place in range(len(due) - 1, -1, -1):
        following = starts[place] = min(due[place], following - spacing)
    return starts


def lead_seconds(due: Sequence[float], rate: float) -> float:
    """Return how much sooner than it is due the first renewal has to begin, because of those that follow it.

    Args:
        due: by when each should be on its way, in ascending order.
        rate: renewals a second.
    """
    # The first start alone, without a list: a million ids are planned with in each pass.
    spacing = 1.0 / rate
    first = min((moment - place * spacing for place, moment in enumerate(due)), default=None)
    return 0.0 if first is None else due[0] - first
