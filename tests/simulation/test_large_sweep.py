"""The same story where its largest file goes in parts: whatever fails, at whichever call, it ends as if nothing had."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from os.path import isdir

import pytest

from fileferry.plan import parts
from simulation.story import MEMORY
from simulation.sweep import Failure, Tale, Trap, prepare, stride
from simulation.witness import Witness
from simulation.world import World

MOST_CALLS = 3_000


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LEAST_PART_BYTES", 40_000)


def tell(failure: Failure, number: int, *, expires_after_seconds: int | None) -> tuple[World, Trap]:
    memory = MEMORY if isdir(MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="ferry-", dir=memory) as home:
        world = World(number, home)
        world.settings = replace(world.settings, multipart_threshold_bytes=200_000)
        world.emulator.set_uploads_all_purposes(is_allowed=True)
        try:
            witness = Witness(world)
            trap = Trap(failure, number)
            prepare(world, trap, expires_after_seconds=expires_after_seconds)
            Tale(world, witness).tell()
        finally:
            world.close()
    return world, trap


def sweep(failure: Failure, *, step: int, expires_after_seconds: int | None) -> None:
    for number in range(1, MOST_CALLS, step):
        world, trap = tell(failure, number, expires_after_seconds=expires_after_seconds)
        assert not world.violations, (
            f"{failure}, call {number}, expiry {expires_after_seconds}: {world.violations[:3]}"
        )
        if not trap.has_struck:
            assert any("/complete: 200" in what for _, what in world.trace)
            return
    pytest.fail("the story never ends")


@pytest.mark.parametrize("failure", list(Failure), ids=str)
def test_a_file_in_parts_survives_whichever_call_fails(failure: Failure, is_thorough: bool) -> None:
    strides = {"calls": 2, "others": 31} if is_thorough else {"calls": 56, "others": 776}
    sweep(failure, step=stride(failure, **strides), expires_after_seconds=3_600)


@pytest.mark.slow
@pytest.mark.timeout(2_400)
@pytest.mark.parametrize("expires_after_seconds", [3_600, None])
@pytest.mark.parametrize("failure", list(Failure), ids=str)
def test_a_file_in_parts_survives_whichever_single_call_fails(
    failure: Failure, expires_after_seconds: int | None
) -> None:
    sweep(failure, step=1, expires_after_seconds=expires_after_seconds)
