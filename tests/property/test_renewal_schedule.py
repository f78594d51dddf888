"""Renewals over days and weeks: none comes too late, none much too early, and together they never exceed the limit.

What runs is what the daemon runs: the plan, the queries, the bucket (`fleet.py`).
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fileferry.plan.renewals import RATE_SHARE, Batch, look_ahead, renew_at
from property.fleet import DAY, HOUR, MINUTE, Figures, Fleet

STATED_SHARE = 0.25
"""No id is early by more of its interval, while the ids fit into the rate: see `plan/renewals.py` and the README."""

LIVES = (HOUR, 2 * HOUR, 6 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY)


def interval(life: int) -> float:
    due = renew_at(created_at=0.0, expires_at=life)
    assert due is not None
    return due


def load(lives: list[int], per_minute: int) -> float:
    """Return which part of what renewals are planned with these lives take, in the long run."""
    return sum(MINUTE / interval(life) for life in lives) / (per_minute * RATE_SHARE)


def arrivals(seed: int, *, per_minute: float, seconds: float, life: int) -> list[tuple[float, int]]:
    """Return new files that come at random, so many a minute."""
    chance, at, found = random.Random(seed), 0.0, []
    while (at := at + chance.expovariate(per_minute / MINUTE)) < seconds:
        found.append((at, life))
    return found


def expect(figures: Figures, *, per_minute: int, share: float = STATED_SHARE) -> None:
    print(figures)
    assert figures.died == 0
    assert figures.most <= per_minute
    assert max(figures.early.values(), default=0.0) <= share
    assert figures.renewed > 0


# The plan by itself


@given(
    batches=st.lists(
        st.builds(
            Batch,
            st.integers(-500, 5_000).map(float),
            st.integers(50_000, 90_000).map(float),
            st.integers(1, 200),
        ),
        max_size=20,
    ),
    rate=st.sampled_from([0.05, 0.2, 1.0, 13.3]),
)
def test_it_is_laid_backwards_from_the_deadlines(batches: list[Batch], rate: float) -> None:
    """Something begins early exactly when, laid one by one backwards, the first would have to begin by now."""
    dues = sorted(max(batch.due_at, 0.0) for batch in batches for _ in range(batch.count))
    start = float("inf")
    for due in reversed(dues):
        start = min(due, start - 1 / rate)
    if abs(start) < 1e-6:
        return  # this very moment: rounding decides
    ahead = look_ahead(batches, now=0.0, rate=rate)
    assert (ahead.until >= 0.0) == (start < 0.0)
    # And until the last one that leaves no time for all before it.
    without_time = [
        due for place, due in enumerate(dues) if due * rate < place - 1e-6 or due == 0.0
    ]
    assert ahead.until >= max(without_time, default=float("-inf"))
    assert ahead.until <= max(
        (due for place, due in enumerate(dues) if due * rate <= place + 1e-6), default=float("-inf")
    )


# Some hours or days of a fleet


def test_an_hour_s_life_at_what_config_check_allows_beside_all_the_new_files_in_the_world() -> None:
    """192 files that live an hour take all of 80 % of four uploads a minute, even if each were renewed at its end."""
    fleet = Fleet(4)
    fleet.add([HOUR] * 192)
    figures = fleet.live(5 * HOUR, arrivals(1, per_minute=4, seconds=5 * HOUR, life=30 * DAY))
    expect(figures, per_minute=4)
    assert figures.first > 192 + 5 * 60 * 0.2  # new files have a little of it all the same
    assert min(figures.left.values()) > 0.3


def test_many_that_live_long_do_not_make_few_that_live_an_hour_renew_again_and_again() -> None:
    fleet = Fleet(4)
    fleet.add([HOUR] * 8 + [DAY] * 600)
    figures = fleet.live(DAY)
    expect(figures, per_minute=4)
    assert figures.renewed < 1.08 * (600 + 8 * DAY / interval(HOUR))


def test_when_the_limit_is_lowered_all_begin_in_time() -> None:
    fleet = Fleet(1_000)
    fleet.add([DAY] * 500)
    fleet.live(HOUR)
    fleet.limit(2)  # at which they take more than five hours
    expect(fleet.live(DAY), per_minute=1_000, share=0.33)


def test_what_cannot_be_read_does_not_hold_up_others() -> None:
    fleet = Fleet(4)
    dark = fleet.add([DAY] * 200)
    fleet.add([DAY] * 200)
    fleet.live(2 * HOUR)
    fleet.darken(dark)
    figures = fleet.live(DAY)
    expect(figures, per_minute=4)
    assert figures.renewed == 200


def test_after_a_sleep_those_that_still_live_are_renewed_in_the_order_of_their_need() -> None:
    """400 that live on for a day fell due while the machine slept; then come some that live for an hour only."""
    fleet = Fleet(4)
    fleet.add([7 * DAY] * 400)
    fleet.live(2 * HOUR)
    fleet.clock.now += 6 * DAY  # all are due, the first have 22 hours left
    fleet.add([HOUR] * 8)
    expect(fleet.live(2 * HOUR), per_minute=4)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    per_minute=st.integers(2, 6),
    kinds=st.lists(st.tuples(st.sampled_from(LIVES), st.integers(1, 40)), min_size=1, max_size=4),
    new_share=st.sampled_from([0.01, 0.1, 0.2]),
    seed=st.integers(0, 9),
)
def test_any_fleet_that_fits(
    per_minute: int, kinds: list[tuple[int, int]], new_share: float, seed: int
) -> None:
    lives = [life for life, count in kinds for _ in range(count)]
    random.Random(seed).shuffle(lives)
    while load(lives, per_minute) > 0.9:
        lives.pop()
    fleet = Fleet(per_minute)
    fleet.add(lives)
    news = arrivals(seed, per_minute=per_minute * new_share, seconds=6 * HOUR, life=30 * DAY)
    figures = fleet.live(6 * HOUR, news)
    assert figures.died == 0
    assert figures.most <= per_minute
    assert max(figures.early.values(), default=0.0) <= STATED_SHARE


# Weeks


def mixture(count: int) -> list[int]:
    """Return lives from an hour to a month, most of them long."""
    parts = {30 * DAY: 0.9, 14 * DAY: 0.078, 7 * DAY: 0.02, DAY: 0.0018, HOUR: 0.0002}
    lives = [life for life, part in parts.items() for _ in range(round(count * part))]
    random.Random(count).shuffle(lives)
    return lives


@pytest.mark.slow
def test_what_falls_due_every_hour_meanwhile_is_reckoned_with() -> None:
    """Sent at a thousand a minute, and renewed at two: that takes eleven hours, or a day beside those of an hour."""
    fleet = Fleet(1_000)
    fleet.add([HOUR] * 43 + [2 * DAY] * 1_000)
    fleet.live(HOUR / 2)
    fleet.limit(2)
    expect(fleet.live(2.5 * DAY), per_minute=1_000, share=0.8)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_thousand_ids_over_sixty_days() -> None:
    """Sent at once at the beginning, at a hundred a minute, and new ones come every three minutes."""
    fleet = Fleet(100)
    fleet.add(mixture(100_000))
    figures = fleet.live(60 * DAY, arrivals(1, per_minute=1 / 3, seconds=60 * DAY, life=30 * DAY))
    expect(figures, per_minute=100, share=0.02)
    assert figures.first > 125_000
    assert figures.renewed > 280_000


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "lives"),
    [
        pytest.param("all of a day", [DAY] * 2_000, id="a day"),
        pytest.param(
            "mixed", [HOUR] * 23 + [2 * HOUR] * 23 + [6 * HOUR] * 50 + [DAY] * 300 + [2 * DAY] * 600,
            id="an hour to two days",
        ),
        pytest.param("few short ones", [HOUR] * 10 + [4 * DAY] * 6_000, id="an hour and four days"),
    ],
)  # fmt: skip
def test_nine_tenths_of_what_fits_and_new_files_for_the_rest(name: str, lives: list[int]) -> None:
    per_minute = next(limit for limit in range(1, 100) if load(lives, limit) <= 0.95)
    random.Random(name).shuffle(lives)
    fleet = Fleet(per_minute)
    fleet.add(lives)
    seconds = max(DAY, 2.2 * max(lives))
    news = arrivals(1, per_minute=0.15 * per_minute, seconds=seconds, life=30 * DAY)
    print(name, per_minute, load(lives, per_minute))
    expect(fleet.live(seconds, news), per_minute=per_minute)
