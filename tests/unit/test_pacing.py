"""When a call may be made: never over the limit, never needlessly late, politely when the API is down."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.errors import (
    CredentialsRefused,
    OutcomeUnknown,
    RemoteError,
    RemoteRefused,
    RemoteUnavailable,
)
from fileferry.remote.pacing import Bucket, Pace

HAIR = 1e-6


class FakeClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += max(0.0, seconds)
        await asyncio.sleep(0)


def pace(clock: FakeClock, *, per_minute: int = 0, concurrency: int = 8) -> Pace:
    return Pace(
        clock,
        uploads_per_minute=per_minute,
        concurrency=concurrency,
        delay=lambda failures: float(2**failures),
    )


def take_all(bucket: Bucket, gaps: list[float], *, now: float = 0.0) -> list[float]:
    """Take a token after each gap, waiting as long as the bucket says; return when."""
    taken = []
    for gap in gaps:
        now += gap
        while wait := bucket.take(now):
            assert wait > 0
            now += wait
        taken.append(now)
    return taken


@given(
    per_minute=st.integers(1, 300),
    gaps=st.lists(
        st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 100)), min_size=1, max_size=700
    ),
)
def test_no_60_seconds_see_more_than_the_limit(per_minute: int, gaps: list[float]) -> None:
    taken = take_all(Bucket(per_minute, now=0.0), gaps)
    for first, beyond in zip(taken, taken[per_minute:], strict=False):
        assert beyond - first >= 60.0 - HAIR


@pytest.mark.parametrize("per_minute", [1, 2, 3, 5, 60, 999, 1_000])
def test_it_is_not_needlessly_slow(per_minute: int) -> None:
    taken = take_all(Bucket(per_minute, now=0.0), [0.0] * per_minute * 10)
    share = 0.8 if per_minute >= 5 else 0.5  # of a few, the burst of one is a large part
    assert taken[-1] <= 600.0 / share


def test_a_fifth_of_the_limit_may_go_at_once() -> None:
    assert take_all(Bucket(1_000, now=0.0), [0.0] * 200) == [0.0] * 200
    assert take_all(Bucket(1_000, now=0.0), [0.0] * 201)[-1] > 0.0


def test_what_was_not_used_is_not_saved_up() -> None:
    bucket = Bucket(10, now=0.0)
    taken = take_all(bucket, [3_600.0, 0.0, 0.0])
    assert taken[:2] == [3_600.0, 3_600.0]
    assert taken[2] > 3_600.0


def test_no_limit_is_no_limit() -> None:
    assert take_all(Bucket(0, now=0.0), [0.0] * 5_000)[-1] == 0.0


async def test_uploads_wait_for_the_rate_together() -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=5)
    started: list[float] = []

    async def one() -> None:
        async with its.upload():
            started.append(clock.now)

    await asyncio.gather(*(one() for _ in range(12)))
    started.sort()
    assert all(late - early >= 60 - HAIR for early, late in zip(started, started[5:], strict=False))


async def test_no_more_uploads_than_allowed_run_at_once() -> None:
    its = pace(FakeClock(), concurrency=3)
    running = most = 0

    async def one() -> None:
        nonlocal running, most
        async with its.upload():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert most == 3


async def fail(its: Pace, error: RemoteError) -> None:
    with pytest.raises(type(error)):
        async with its.call():
            raise error


async def test_what_the_server_asks_for_is_obeyed() -> None:
    clock = FakeClock()
    its = pace(clock)
    await fail(its, RemoteUnavailable("slow down", retry_after_seconds=300.0))
    assert its.open_in_seconds() == 300.0
    before = clock.now
    async with its.upload():
        assert clock.now >= before + 300.0
    assert its.open_in_seconds() == 0.0


async def test_without_its_word_the_waits_grow_and_end_with_the_first_success() -> None:
    clock = FakeClock()
    its = pace(clock)
    waits = []
    for _ in range(3):
        await fail(its, RemoteUnavailable("down"))
        waits.append(its.open_in_seconds())
    assert waits == [2.0, 4.0, 8.0]
    assert (its.is_down, str(its.last_error)) == (True, "down")
    clock.now += 8.0
    async with its.call():
        pass
    assert (its.is_down, its.last_error) == (False, None)
    await fail(its, RemoteUnavailable("down again"))
    assert its.open_in_seconds() == 2.0


async def test_a_shorter_wait_does_not_cut_a_longer_one() -> None:
    its = pace(FakeClock())

    async def one(seconds: float) -> None:
        async with its.call():
            await asyncio.sleep(0)
            raise RemoteUnavailable("slow down", retry_after_seconds=seconds)

    await asyncio.gather(one(300.0), one(1.0), return_exceptions=True)
    assert its.open_in_seconds() == 300.0


async def test_deletes_and_listings_obey_the_server_too() -> None:
    clock = FakeClock()
    its = pace(clock)
    for call in (its.delete, its.call):
        await fail(its, RemoteUnavailable("slow down", retry_after_seconds=50.0))
        before = clock.now
        async with call():
            assert clock.now == before + 50.0


async def test_deletes_have_a_slower_rate_of_their_own() -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=100)
    began = clock.now
    for _ in range(30):
        async with its.delete():
            pass
    assert clock.now > began
    async with its.upload():  # which has not waited for them
        pass
    assert len([seconds for seconds in clock.slept if seconds]) == 24


async def test_after_a_restart_within_the_minute_nothing_goes_at_once() -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=60)
    its.continue_minute()
    async with its.upload():
        assert clock.slept != []


@pytest.mark.parametrize(
    ("error", "down"),
    [
        pytest.param(RemoteUnavailable("x"), True, id="not done"),
        pytest.param(OutcomeUnknown("x"), True, id="perhaps done"),
        pytest.param(RemoteRefused("x"), False, id="refused: somebody answered"),
        pytest.param(CredentialsRefused("x"), False, id="a wrong key: somebody answered"),
    ],
)
async def test_only_silence_and_overload_count_as_down(error: RemoteError, down: bool) -> None:
    its = pace(FakeClock())
    await fail(its, error)
    assert its.is_down == down
    assert (its.last_error is error) == down


async def test_while_the_api_is_down_one_upload_asks_for_all() -> None:
    clock = FakeClock()
    its = pace(clock)
    await fail(its, RemoteUnavailable("down"))
    running = most = 0
    answers = [True, True, True, False]  # three probes that fail, then the API is back

    async def one() -> None:
        nonlocal running, most
        async with its.upload():
            was_down = its.is_down
            running += 1
            most = max(most, running) if was_down else most
            await asyncio.sleep(0)
            running -= 1
            if answers and answers.pop(0):
                raise RemoteUnavailable("still down")

    results = await asyncio.gather(*(one() for _ in range(8)), return_exceptions=True)
    assert most == 1
    assert sum(isinstance(result, RemoteUnavailable) for result in results) == 3
    assert clock.slept == [2.0, 4.0, 8.0, 16.0]


async def test_under_pressure_half_as_many_run_and_more_again_with_success() -> None:
    clock = FakeClock()
    its = pace(clock, concurrency=8)
    await fail(its, RemoteUnavailable("slow down"))
    assert its._slots.allowed == 4
    await fail(its, RemoteUnavailable("nobody there", reached=False))
    assert its._slots.allowed == 4
    for _ in range(4 + 5 + 6 + 7 + 20):
        async with its.upload():
            pass
    assert its._slots.allowed == 8
