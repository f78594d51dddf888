"""The limits on calls: in no 60 seconds more than the limit, whatever is asked when, and however often it begins.

What a process knows of its predecessors is what is in the index: when each upload was begun.
"""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.remote.pacing import Bucket

MINUTE = 60.0

gaps = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 100)), min_size=1, max_size=700
)


def take(bucket: Bucket, now: float) -> float:
    """Wait for a place and take it; return when."""
    while wait := bucket.take(now):
        assert wait > 0
        now += wait
    return now


def most_in_a_minute(moments: list[float]) -> int:
    """Return the largest number of moments in any half-open minute."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - MINUTE:
            first += 1
        most = max(most, last - first + 1)
    return most


@given(per_minute=st.integers(1, 300), waits=gaps)
def test_no_60_seconds_see_more_than_the_limit(per_minute: int, waits: list[float]) -> None:
    bucket, now = Bucket(per_minute), 0.0
    taken: list[float] = []
    for gap in waits:
        now = take(bucket, now + gap)
        taken.append(now)
    assert most_in_a_minute(taken) <= per_minute


@given(per_minute=st.integers(1, 60), lives=st.lists(gaps.map(lambda g: g[:40]), max_size=30))
def test_not_even_when_the_process_is_killed_again_and_again(
    per_minute: int, lives: list[list[float]]
) -> None:
    now = 0.0
    taken: list[float] = []
    for life in lives:
        bucket = Bucket(per_minute)
        bucket.recall(taken)
        for gap in life:
            now = take(bucket, now + gap)
            taken.append(now)
    assert most_in_a_minute(taken) <= per_minute


@given(
    limits=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    waits=st.lists(st.sampled_from([0.0, 0.01, 1.0, 30.0]), max_size=60),
)
def test_a_limit_that_is_changed_holds_from_a_minute_after_on(
    limits: list[int], waits: list[float]
) -> None:
    bucket, now = Bucket(1_000), 0.0
    for per_minute in limits:
        bucket.per_minute = per_minute
        changed_at = now
        taken: list[float] = []
        for gap in waits:
            now = take(bucket, now + gap)
            taken.append(now)
        assert most_in_a_minute([at for at in taken if at > changed_at]) <= per_minute


@pytest.mark.parametrize("per_minute", [1, 10, 100, 1_000])
def test_whoever_always_wants_more_gets_nearly_all_of_it_and_evenly(per_minute: int) -> None:
    bucket, now = Bucket(per_minute), 0.0
    taken: list[float] = []
    while now < 20 * MINUTE:
        now = take(bucket, now)
        taken.append(now)
    lasting = [at for at in taken if at > 5 * MINUTE]
    assert len(lasting) >= 0.97 * per_minute * 15 - 1
    waits = [late - early for early, late in pairwise(lasting)]
    assert max(waits) <= 1.25 * MINUTE / per_minute


@pytest.mark.parametrize("seed", range(5))
def test_what_is_delayed_on_its_way_stays_within_the_limit(seed: int) -> None:
    """A second more is kept free than a minute has: so calls may be late by up to that, each by something else."""
    chance = random.Random(seed)
    bucket, now = Bucket(1_000), 0.0
    arrived: list[float] = []
    for _ in range(10_000):
        now = take(bucket, now)
        arrived.append(now + chance.random())
    assert most_in_a_minute(sorted(arrived)) <= 1_000
