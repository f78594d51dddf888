"""When a changed file has been quiet long enough to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileferry.model import Stamp

GRAIN_SECONDS = (
    0.02  # the kernel stamps with its tick: two writes within one may leave equal stamps
)

SLIP_SECONDS = 2.0  # how far the clock of a file server may be ahead of ours


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
    """Say whether a file read at that wall second might change once more and keep its stamp.

    Only its change time says so: programs set the other at will. One that lies further ahead was written by another
    clock, and the next change will be told from it.
    """
    changed_at = stamp.ctime_ns / 1e9
    return read_at - GRAIN_SECONDS < changed_at <= read_at + SLIP_SECONDS
