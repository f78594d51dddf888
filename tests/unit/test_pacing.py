"""When a call may be made: never over the limit, never needlessly late, politely when the API is down."""

import asyncio
from itertools import pairwise

import pytest

from fileferry.clock import Clock, SystemClock
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


def pace(clock: Clock, *, per_minute: int = 0, concurrency: int = 8) -> Pace:
    return Pace(
        clock,
        uploads_per_minute=per_minute,
        concurrency=concurrency,
        delay=lambda failures: float(2**failures),
    )


def take_all(bucket: Bucket, gaps: list[float], *, now: float = 0.0) -> list[float]:
    """Take a place after each gap, waiting as long as the bucket says; return when."""
    taken = []
    for gap in gaps:
        now += gap
        while wait := bucket.take(now):
            assert wait > 0
            now += wait
        taken.append(now)
    return taken


@pytest.mark.parametrize("per_minute", [1, 2, 3, 5, 60, 999, 1_000])
def test_nothing_of_the_limit_is_wasted(per_minute: int) -> None:
    taken = take_all(Bucket(per_minute), [0.0] * (per_minute * 10 + 1))
    assert 600.0 < taken[-1] <= 611.0


def test_a_quarter_of_the_limit_may_go_at_once_and_the_rest_is_spread() -> None:
    taken = take_all(Bucket(1_000), [0.0] * 5_000)
    assert taken[:250] == [0.0] * 250
    gaps = [late - early for early, late in pairwise(taken[249:])]
    assert max(gaps) < 0.0815
    assert min(gaps) > 0.0609


def test_what_was_not_used_is_not_saved_up() -> None:
    bucket = Bucket(10)
    taken = take_all(bucket, [3_600.0, 0.0, 0.0])
    assert taken[:2] == [3_600.0, 3_600.0]
    assert taken[2] > 3_600.0


def test_no_limit_is_no_limit() -> None:
    assert take_all(Bucket(0), [0.0] * 5_000)[-1] == 0.0


def test_what_an_earlier_process_sent_counts() -> None:
    bucket = Bucket(10)
    bucket.recall([-30.0] * 10)
    assert take_all(bucket, [0.0] * 2) == [31.0, 31.0]


def test_a_limit_may_be_lowered_and_raised_while_it_is_used() -> None:
    bucket = Bucket(100)
    assert take_all(bucket, [0.0] * 20)[-1] == 0.0
    bucket.per_minute = 4
    assert bucket.take(1.0) == pytest.approx(60.0)
    bucket.per_minute = 1_000
    assert bucket.take(1.0) == 0.0


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
    for error in (RemoteUnavailable, OutcomeUnknown):
        await fail(its, error("slow down", retry_after_seconds=300.0))
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
    for _ in range(31):
        async with its.delete():
            pass
    assert 60.0 < clock.now - began < 75.0
    waits = len(clock.slept)
    async with its.upload():  # which has not waited for them
        pass
    assert len(clock.slept) == waits


@pytest.mark.parametrize("kind", ["delete", "call"])
async def test_a_new_process_may_make_one_such_call_at_once(kind: str) -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=1_000)
    for slept in (False, True):
        async with getattr(its, kind)():
            assert bool(clock.slept) == slept


async def test_few_uploads_a_minute_do_not_make_questions_few() -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=1)
    began = clock.now
    for _ in range(30):
        async with its.call():
            pass
    assert clock.now - began < 60.0


async def test_parts_count_as_uploads_and_need_no_slot() -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=4, concurrency=1)
    async with its.upload():
        for _ in range(3):
            async with its.part():
                pass
    assert clock.now >= 1_000.0 + 45.0


async def test_what_was_sent_before_a_restart_counts() -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=4)
    its.recall_uploads([10.0, 11.0, 12.0, 13.0])
    async with its.upload():
        assert clock.slept == [pytest.approx(61.0 - 13.0)]


async def test_limits_may_be_changed_while_uploads_wait_for_them() -> None:
    clock = FakeClock()
    its = pace(clock, per_minute=1)
    async with its.upload():
        pass
    its.limit(1_000)
    for _ in range(100):
        async with its.upload():
            pass
    assert clock.slept == []


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


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(["upload"] * 8, id="uploads"),
        pytest.param(["delete"] * 8, id="deletes"),
        pytest.param(["upload", "delete", "call", "part"] * 2, id="calls of all kinds"),
    ],
)
async def test_while_the_api_is_down_one_call_asks_for_all(kinds: list[str]) -> None:
    clock = FakeClock()
    its = pace(clock)
    await fail(its, RemoteUnavailable("down"))
    running = most = 0
    answers = [True, True, True, False]  # three probes that fail, then the API is back

    async def one(kind: str) -> None:
        nonlocal running, most
        async with getattr(its, kind)():
            was_down = its.is_down
            running += 1
            most = max(most, running) if was_down else most
            await asyncio.sleep(0)
            running -= 1
            if answers and answers.pop(0):
                raise RemoteUnavailable("still down")

    results = await asyncio.gather(*map(one, kinds), return_exceptions=True)
    assert most == 1
    assert sum(isinstance(result, RemoteUnavailable) for result in results) == 3
    assert not its.is_down
    assert [wait for wait in clock.slept if wait >= 2.0] == [2.0, 4.0, 8.0, 16.0]


async def test_a_cancelled_probe_leaves_the_way_to_the_next() -> None:
    its = pace(FakeClock())
    await fail(its, RemoteUnavailable("down"))
    begun = asyncio.Event()

    async def hang() -> None:
        async with its.upload():
            begun.set()
            await asyncio.Event().wait()

    probe = asyncio.create_task(hang())
    await begun.wait()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    async with its.call():
        pass


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


async def test_whoever_waits_goes_on_when_somebody_ends_the_rest() -> None:
    its = pace(SystemClock())
    its.rest(86_400.0)

    async def call() -> str:
        async with its.call():
            return "made"

    waiting = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    its.reopen()
    assert await asyncio.wait_for(waiting, 5.0) == "made"
    assert its.open_in_seconds() == its.told_in_seconds() == 0.0
