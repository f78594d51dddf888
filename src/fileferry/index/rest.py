"""Until when the server wants no request, as a process that heard it wrote it down. Standard library only."""

from __future__ import annotations

REST_KEY = "rest"
"""In `meta`: until when, and when it said so, both in wall seconds."""


def rest_until(text: str | None, now: float) -> float | None:
    """Return until when to rest, wall seconds; None where that is over, or was said in a time that is yet to come.

    Args:
        text: of `meta`, or None.
        now: wall seconds.
    """
    if text is None:
        return None
    until, told_at = map(float, text.split())
    return until if told_at <= now < until else None


def rest_text(until: float, now: float) -> str:
    """Return what to write down."""
    return f"{until!r} {now!r}"
