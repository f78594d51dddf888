"""Whatever fails, at whichever call: the story ends as if nothing had."""

from __future__ import annotations

import tempfile

import pytest

from simulation.story import MEMORY
from simulation.sweep import Failure, Tale, Trap, prepare, stride
from simulation.witness import Witness
from simulation.world import World

MOST_CALLS = 2_000


def tell(failure: Failure, number: int, *, expires_after_seconds: int | None) -> tuple[World, Trap]:
    with tempfile.TemporaryDirectory(prefix="ferry-", dir=_memory()) as home:
        world = World(number, home)
        try:
            witness = Witness(world)
            trap = Trap(failure, number)
            prepare(world, trap, expires_after_seconds=expires_after_seconds)
            Tale(world, witness).tell()
        finally:
            world.close()
    return world, trap


def sweep(failure: Failure, *, step: int, expires_after_seconds: int | None) -> None:
    number = 1
    while number < MOST_CALLS:
        world, trap = tell(failure, number, expires_after_seconds=expires_after_seconds)
        assert not world.violations, (
            f"{failure}, call {number}, expiry {expires_after_seconds}: {world.violations[:3]}"
        )
        if not trap.has_struck:
            return
        number += step
    pytest.fail("the story never ends")


@pytest.mark.parametrize("failure", list(Failure), ids=str)
def test_it_converges_whichever_call_fails(failure: Failure, is_thorough: bool) -> None:
    strides = {"calls": 1, "others": 11} if is_thorough else {"calls": 24, "others": 328}
    sweep(failure, step=stride(failure, **strides), expires_after_seconds=3_600)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("expires_after_seconds", [3_600, None])
@pytest.mark.parametrize("failure", list(Failure), ids=str)
def test_it_converges_whichever_single_call_fails(
    failure: Failure, expires_after_seconds: int | None
) -> None:
    sweep(failure, step=1, expires_after_seconds=expires_after_seconds)


def _memory() -> str | None:
    from os.path import isdir

    return MEMORY if isdir(MEMORY) else None
