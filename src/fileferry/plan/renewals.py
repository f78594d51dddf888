"""When an id that expires needs a younger one, and what has to begin sooner so that the last of many is still in time.

All times are server seconds: `expires_at` is the server's, and the caller adds the skew of its own clock.

An id is due with a quarter of its life left, at least 15 minutes and at most a day before it ends. Ids that were made
together fall due together, and uploads are limited: so the plan is laid backwards from the moments at which they fall
due, at 80 % of the rate, and counts what falls due again meanwhile. New uploads have the rest.

Nothing is renewed before it is due, unless there would be no time left for what falls due later. Then the rate is kept
busy with what loses least by it: all are early by the same share of their interval (from one renewal to the next), the
smallest that will do. While the ids to be renewed fit into 80 % of the rate at which they were made, it is at most a
quarter; for 100,000 files that live a week at 1,000 uploads a minute it is 0.3 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARE_LEFT = 0.25
LEAST_SECONDS = 900
MOST_SECONDS = 86_400
LEAST_RETRY_SECONDS = 60.0
MOST_RETRY_SECONDS = 3_600.0
RATE_SHARE = 0.8
LEAST_HORIZON_SECONDS = 3_600.0
HORIZON_FACTOR = 4  # times as long as all of them take: what falls due again meanwhile takes up to three quarters
LOOK_SECONDS = 120.0  # between two looks ahead, at least;
LOOK_SECONDS_EACH = 1e-4  # and more where there is much to look at
LONGEST_LOOK_SECONDS = 3_600.0
SPARE_SHARE = 0.3  # of the time that is to spare, until the next look: new ids come in meanwhile
FEW_SECONDS = 120.0  # of work: late by so little is nothing


@dataclass(frozen=True, slots=True)
class Batch:
    """Ids that fall due together, and again after every interval."""

    due_at: float
    interval: float
    count: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """What may begin before it is due.

    Args:
        until: only what is due until then.
        share: early by at most so much of its interval.
        seconds: for how long this holds.
    """

    until: float
    share: float
    seconds: float


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


def again_seconds(*, left: float, tries: int) -> float:
    """Return how long to wait after an upload whose id was due as soon as it was made.

    Args:
        left: seconds for which the new id still lives; below 0 where it never did.
        tries: how many such uploads there were in a row before.
    """
    if left > 0:
        return retry_seconds(left)
    return LEAST_RETRY_SECONDS * 2.0**tries if tries < 6 else MOST_RETRY_SECONDS


def per_second(uploads_per_minute: int) -> float:
    """Return how many renewals a second may be planned with; infinite where uploads are not limited."""
    return uploads_per_minute * RATE_SHARE / 60 if uploads_per_minute > 0 else float("inf")


def horizon_seconds(count: int, rate: float) -> float:
    """Return how far ahead to look: what is due later than that cannot press yet.

    Args:
        count: of all ids that are to be renewed some day.
        rate: renewals a second.
    """
    return max(LEAST_HORIZON_SECONDS, HORIZON_FACTOR * count / rate)


def look_ahead(batches: Sequence[Batch], *, now: float, rate: float) -> Ahead:
    """Return what has to begin early, so that everything can be on its way when it is due.

    Args:
        batches: what is to be renewed within the horizon, in any order.
        now: server seconds.
        rate: renewals a second.
    """
    until, spare = _pressing(batches, now, rate)
    count = sum(batch.count for batch in batches)
    seconds = LOOK_SECONDS + LOOK_SECONDS_EACH * count
    share, room = 0.0, rate * seconds
    for early, number in sorted(
        ((one.due_at - now) / one.interval, one.count) for one in batches if one.due_at <= until
    ):
        if room <= 0:
            break
        share = max(share, early)
        room -= number
    return Ahead(until, share, max(seconds, min(spare * SPARE_SHARE, LONGEST_LOOK_SECONDS)))


def _pressing(batches: Sequence[Batch], now: float, rate: float) -> tuple[float, float]:
    """Return until when all the time is needed for what is due by then, -inf if never; and how much time is to spare.

    Of a few that are due soon there is never any to spare, and no need.
    """
    again = sorted(
        (max(one.due_at, now) + one.interval, one.count / one.interval) for one in batches
    )
    until, spare = float("-inf"), float("inf")
    work = frequency = repeated = 0.0
    place = 0
    for batch in sorted(batches, key=lambda one: one.due_at):
        due_at = max(batch.due_at, now)
        work += batch.count
        # Never past the end: the last of all falls due again later.
        while again[place][0] <= due_at:
            at, per_second = again[place]
            frequency += per_second
            repeated += per_second * at
            place += 1
        before_the_last = (work + frequency * due_at - repeated - 1) / rate
        left = due_at - before_the_last - now
        if left <= 0:
            until = due_at
        if before_the_last > FEW_SECONDS:
            spare = min(spare, left)
    return until, spare
