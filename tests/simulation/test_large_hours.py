"""What a file in parts meets in an hour: outages, sleep, a line that is too slow. On virtual time."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from os.path import isdir
from typing import TYPE_CHECKING, Any

import pytest

from fileferry.daemon import ways
from fileferry.emulator import Fault, FaultKind
from fileferry.model import Folder
from fileferry.plan import parts
from fileferry.remote import openai
from simulation.story import MEMORY
from simulation.witness import Witness
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTENT = b"large" * 80_000


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LEAST_PART_BYTES", 40_000)


@pytest.fixture
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir=MEMORY if isdir(MEMORY) else None) as home:
        world = World(1, home)
        world.settings = replace(world.settings, multipart_threshold_bytes=200_000)
        world.emulator.set_uploads_all_purposes(is_allowed=True)
        world.folders.append(Folder(name="docs", root=world.disk.make_root(b"docs")))
        world.disk.write(world.folders[0].root + b"/large.bin", CONTENT)
        Witness(world)
        yield world
        world.close()
    assert world.violations == []


def row(world: World) -> tuple[Any, ...]:
    """Return how the index shows the file: its state, and why."""
    assert world.writer is not None
    found = world.writer.connection.execute("SELECT state, error FROM files").fetchall()
    return found[0] if found else ("", None)


def ends_at(world: World) -> float:
    """Return when the Upload that was begun last is over."""
    assert world.writer is not None
    found = world.writer.connection.execute("SELECT max(expires_at) FROM upload").fetchone()
    return float(found[0])


async def until(world: World, what: Callable[[], bool], seconds: float) -> None:
    """Wait, but not longer than `seconds`."""
    deadline = world.now() + seconds
    while not what():
        assert world.now() < deadline, world.trace[-20:]
        await asyncio.sleep(1.0)


def calls(world: World, ending: str) -> int:
    return sum(request.path.endswith(ending) for request in world.emulator.requests())


def test_an_outage_says_nothing_of_the_line(world: World) -> None:
    async def story() -> None:
        world.emulator.add_fault(
            Fault(FaultKind.DROP_BEFORE, path="/v1/uploads/*/parts", skip=2, count=None)
        )
        world.emulator.add_fault(Fault(FaultKind.DROP_BEFORE, method="GET", count=None, skip=1))
        await until(world, lambda: calls(world, "/parts") > 2, 60)
        await asyncio.sleep(600)
        world.emulator.clear_faults()
        await until(world, lambda: row(world)[0] == "synced", 400)

    world.live(story)
    assert calls(world, "/v1/uploads") == 1


def test_an_upload_whose_hour_was_slept_through_is_begun_again(world: World) -> None:
    async def story() -> None:
        world.emulator.set_latency_ms(60_000)
        await until(world, lambda: calls(world, "/parts") > 4, 600)
        # It is alive still, and a whole hour would do, but what is left of this one will not.
        world.clock.slept_seconds += ends_at(world) - world.clock.wall() - 72
        await until(world, lambda: row(world)[0] == "synced", 1_200)

    world.live(story)
    assert calls(world, "/v1/uploads") == 2


def test_what_the_line_cannot_carry_is_tried_once_an_hour_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "SILENCE_SECONDS", 9_000.0)  # such small parts end sooner otherwise
    monkeypatch.setattr(ways, "FILES_LIMIT_BYTES", 300_000)  # it has no other way

    async def story() -> None:
        world.emulator.options = replace(world.emulator.options, bandwidth=20.0)
        await until(world, lambda: row(world)[0] == "error", 1_800)
        assert "that needs 0.00 MB a second" in row(world)[1]  # as small as files here are
        assert calls(world, "/v1/uploads") == 1
        await asyncio.sleep(3_300)
        assert calls(world, "/v1/uploads") == 1
        world.emulator.options = replace(world.emulator.options, bandwidth=None)
        await until(world, lambda: row(world)[0] == "synced", 1_000)

    world.live(story)
