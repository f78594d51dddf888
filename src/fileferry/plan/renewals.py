"""When an id that expires needs a younger one.

All times are server seconds: `expires_at` is the server's, and the caller adds the skew of its own clock.
"""

from __future__ import annotations

SHARE_LEFT = 0.25
LEAST_SECONDS = 900
MOST_SECONDS = 86_400


def renew_at(*, created_at: float, expires_at: float | None) -> float | None:
    """Return when to send the bytes again: with a quarter of the life left, 15 minutes to a day before the end.

    Args:
        created_at: when the remote file was made.
        expires_at: when the API will delete it, or None for never.
    """
    if expires_at is None:
        return None
    life = expires_at - created_at
    margin = min(max(SHARE_LEFT * life, LEAST_SECONDS), MOST_SECONDS)
    return float(max(created_at, expires_at - margin))
