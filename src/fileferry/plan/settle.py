"""When a changed file has been quiet long enough to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileferry.model import Stamp

GRAIN_SECONDS = (
    0.02  # the kernel stamps with its tick: two writes within one may leave equal stamps
)


def quiet_at(
    stamp: Stamp,
    *,
    seen_at: float,
    now: float,
    settle_seconds: float,
    unsettled_at: float | None = None,
    settle_max_seconds: float = float("inf"),
) -> float:
    """Return the wall second from which a file may be read.

    Args:
        stamp: its last known one; the change time cannot be set by programs, so quiet counts from it.
        seen_at: since when it is known to be as it is; counts instead where its change time lies ahead.
        now: wall seconds.
        settle_seconds: how long it has to rest.
        unsettled_at: since when it has been changing.
        settle_max_seconds: after so long it is read without rest.
    """
    changed_at = stamp.ctime_ns / 1e9
    quiet = (changed_at if changed_at <= now else seen_at) + settle_seconds
    if unsettled_at is not None and unsettled_at <= now:
        quiet = min(quiet, unsettled_at + settle_max_seconds)
    return quiet


def is_racy(stamp: Stamp, *, read_at: float) -> bool:
    """Say whether a file read at that wall second might change once more and keep its stamp."""
    return max(stamp.ctime_ns, stamp.mtime_ns) / 1e9 > read_at - GRAIN_SECONDS
