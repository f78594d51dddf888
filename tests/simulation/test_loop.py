"""The loop of simulations: time is a number, and standing still for ever is an error."""

from __future__ import annotations

import asyncio
import time

import pytest

from simulation.loop import Deadlock, Livelock, VirtualClock, VirtualLoop


def test_a_day_passes_in_a_moment() -> None:
    loop = VirtualLoop()
    began = time.monotonic()

    loop.run_until_complete(asyncio.sleep(86_400))
    loop.drop()

    assert loop.time() == pytest.approx(86_400)
    assert time.monotonic() - began < 1.0


def test_timers_go_off_in_the_order_of_their_moments() -> None:
    loop = VirtualLoop()
    order: list[str] = []

    async def after(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    async def all_of_them() -> None:
        await asyncio.gather(after(3, "third"), after(1, "first"), after(2, "second"))

    loop.run_until_complete(all_of_them())
    loop.drop()

    assert order == ["first", "second", "third"]


def test_waiting_for_what_never_comes_is_an_error() -> None:
    loop = VirtualLoop()

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        loop.run_until_complete(wait())
    loop.drop()


def test_spinning_without_end_is_an_error() -> None:
    loop = VirtualLoop()

    async def spin() -> None:
        while True:  # noqa: ASYNC110 - that is the mistake
            await asyncio.sleep(0)

    with pytest.raises(Livelock):
        loop.run_until_complete(spin())
    loop.drop()


def test_work_for_threads_is_done_in_place() -> None:
    loop = VirtualLoop()

    async def ask() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert loop.run_until_complete(ask()) == 7
    loop.drop()


def test_a_suspended_host_finds_everybody_later_and_its_own_timers_as_they_were() -> None:
    now = [10.0]
    clock = VirtualClock(1_000.0, lambda: now[0])

    clock.slept_seconds += 3_600

    assert clock.monotonic() == 10
    assert clock.wall() == clock.true_wall() == 4_610


def test_a_clock_that_is_set_is_this_hosts_alone() -> None:
    clock = VirtualClock(1_000.0, lambda: 10.0)

    clock.jumps.append(-30)

    assert clock.wall() == 980
    assert clock.true_wall() == 1_010
