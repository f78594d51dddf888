"""What histories have found: each defect once more, as the smallest story that shows it, so that it stays mended."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from os.path import isdir
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest

from fileferry.emulator import Fault, FaultKind
from fileferry.model import Folder
from simulation import mishaps
from simulation.disk import EACCES
from simulation.story import MEMORY, ask_again, mend
from simulation.sweep import Failure, Trap, TrappedRemote
from simulation.witness import Witness
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

HOUR = 3_600


class Stage:
    """One folder in a world of its own, and a few verbs."""

    def __init__(self, home: str, **options: Any) -> None:
        self.world = World(1, home)
        self.world.settings = replace(self.world.settings, check_interval_seconds=24.0 * HOUR)
        self.witness = Witness(self.world)
        settings = {"expires_after_seconds": HOUR, "settle_seconds": 0.0} | options
        self.root = self.world.disk.make_root(b"docs")
        self.world.folders.append(Folder(name="docs", root=self.root, **settings))

    def write(self, name: bytes, content: bytes) -> None:
        self.world.disk.write(self.root + b"/" + name, content)
        self.look()

    def change_when_read(self, name: bytes, reads: int) -> None:
        """Have a file change, its size apart, when it has been read from so many times."""
        path = self.root + b"/" + name
        self.world.disk.on_read[path] = [
            reads,
            lambda: self.world.disk.write(path, b"other" * 60_000),
        ]

    def look(self) -> None:
        if self.world.assembly is not None:
            self.world.assembly.engine.lookout.mark_all()

    def hear(self, name: bytes) -> None:
        """Tell the engine of one path, and of nothing else."""
        assert self.world.assembly is not None
        (folder_id,) = self.world.assembly.engine.mirrors
        self.world.assembly.engine.lookout.mark(folder_id, name)

    async def rest(self, seconds: float = 900.0) -> None:
        """Wait until nothing is left to do."""
        deadline = self.world.now() + seconds
        await asyncio.sleep(1.0)
        while problems := self.witness.rest.problems():
            assert self.world.now() < deadline, problems
            await asyncio.sleep(1.0)

    async def sleep_until_renewal(self) -> None:
        assert mishaps.sleep_until_renewal(self.world, self.witness, margin_seconds=5.0)

    def play(self, story: Callable[[], Awaitable[None]]) -> None:
        """Play one life; what is asserted in it, and what the witness objects to, fails here."""
        self.world.live(story)
        assert self.world.violations == []

    def nothing_is_late(self) -> None:
        assert self.witness.rest.late_renewals() == []


@contextmanager
def stage(**options: Any) -> Iterator[Stage]:
    memory = MEMORY if isdir(MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="ferry-", dir=memory) as home:
        it = Stage(home, **options)
        try:
            yield it
        finally:
            it.world.close()


def test_a_clock_that_is_behind_does_not_make_renewals_late_after_a_restart() -> None:
    with stage() as it:
        it.world.emulator.clock.offset = 2 * HOUR
        it.write(b"a.txt", b"one")
        it.play(it.rest)

        async def again() -> None:
            await it.sleep_until_renewal()
            await asyncio.sleep(400.0)
            it.nothing_is_late()

        it.play(again)


def test_a_clock_that_is_set_back_does_not_make_renewals_late() -> None:
    with stage() as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await it.rest()
            await it.sleep_until_renewal()
            it.world.clock.jumps.append(-2.0 * HOUR)
            await asyncio.sleep(400.0)
            it.nothing_is_late()

        it.play(story)


def test_a_renewal_waits_no_longer_than_its_file_is_unreadable() -> None:
    with stage(rescan_interval_seconds=60.0) as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await it.rest()
            it.world.disk.troubles[it.root + b"/a.txt"] = EACCES
            it.look()
            await it.sleep_until_renewal()
            await asyncio.sleep(400.0)
            mend(it.world)
            it.look()
            await asyncio.sleep(100.0)
            it.nothing_is_late()

        it.play(story)


def test_a_renewal_waits_no_longer_than_its_root_is_away() -> None:
    with stage(rescan_interval_seconds=60.0) as it:
        it.write(b"a.txt", b"one")
        it.write(b"b.txt", b"two")

        async def story() -> None:
            await it.rest()
            it.world.disk.take_away(it.root, "gone")
            it.look()
            await it.sleep_until_renewal()
            await asyncio.sleep(60.0)
            mend(it.world)
            it.look()
            await asyncio.sleep(300.0)
            it.nothing_is_late()

        it.play(story)


def test_a_renewal_that_was_refused_is_tried_again_while_its_id_lives() -> None:
    with stage() as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await it.rest()
            it.world.emulator.add_fault(Fault(FaultKind.STATUS, "POST", "/v1/files", status=413))
            await it.sleep_until_renewal()
            await asyncio.sleep(600.0)
            it.nothing_is_late()

        it.play(story)


def test_retry_is_about_renewals_too() -> None:
    with stage(expires_after_seconds=7 * 24 * HOUR) as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await it.rest()
            it.world.emulator.add_fault(Fault(FaultKind.STATUS, "POST", "/v1/files", status=413))
            await it.sleep_until_renewal()
            await asyncio.sleep(60.0)
            assert it.world.figures.creates == 1
            await ask_again(it.world)
            await asyncio.sleep(60.0)
            assert it.world.figures.creates == 2

        it.play(story)


def test_an_id_that_came_too_late_to_be_taken_back_goes_when_its_bytes_have_a_younger_one() -> None:
    with stage(retire_delay_seconds=2_000.0, delete_delay_seconds=0.0) as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            await it.rest()
            await it.sleep_until_renewal()
            it.write(b"a.txt", b"two")
            await asyncio.sleep(30.0)
            it.world.clock.slept_seconds += 100.0
            it.write(b"a.txt", b"one")
            await it.rest(2 * HOUR)

        it.play(story)


def test_a_clock_that_was_set_since_an_answer_was_lost_does_not_hide_its_file() -> None:
    with stage(expires_after_seconds=None) as it:
        it.write(b"a.txt", b"one")

        async def story() -> None:
            it.world.emulator.add_fault(Fault(FaultKind.DROP_AFTER, "POST", "/v1/files"))
            it.world.emulator.add_fault(
                Fault(FaultKind.STATUS, "GET", "/v1/files", skip=1, count=None, status=503)
            )
            await asyncio.sleep(30.0)
            it.world.clock.jumps.append(float(HOUR))
            mend(it.world)
            await it.rest()
            assert it.world.figures.creates == 1

        it.play(story)


def test_a_file_that_a_directory_took_the_place_of_is_let_go() -> None:
    with stage(delete_delay_seconds=0.0) as it:
        it.write(b"plan", b"one")

        async def story() -> None:
            await it.rest()
            it.world.disk.remove(it.root + b"/plan")
            it.write(b"plan/a.txt", b"two")
            await it.rest()

        it.play(story)


def test_one_event_tells_that_a_directory_took_the_place_of_a_file() -> None:
    with stage(delete_delay_seconds=0.0, rescan_interval_seconds=24.0 * HOUR) as it:
        it.write(b"plan", b"one")

        async def story() -> None:
            await it.rest()
            it.world.disk.remove(it.root + b"/plan")
            it.world.disk.write(it.root + b"/plan/a.txt", b"two")
            it.hear(b"plan")
            await it.rest()

        it.play(story)


def test_one_event_tells_that_a_file_took_the_place_of_a_directory() -> None:
    with stage(delete_delay_seconds=0.0, rescan_interval_seconds=24.0 * HOUR) as it:
        it.write(b"plan/a.txt", b"one")
        it.write(b"plan/old/b.txt", b"two")

        async def story() -> None:
            await it.rest()
            for name in (b"/plan/a.txt", b"/plan/old/b.txt"):
                it.world.disk.remove(it.root + name)
            rmtree(it.root + b"/plan")
            it.world.disk.write(it.root + b"/plan", b"three")
            it.hear(b"plan")
            await it.rest()

        it.play(story)


def test_an_upload_that_waited_while_the_clock_was_set_does_not_begin_by_the_wrong_time() -> None:
    with stage(expires_after_seconds=None) as it:
        it.world.settings = replace(it.world.settings, concurrency=1)

        async def story() -> None:
            it.write(b"a.txt", b"one")
            await it.rest()
            it.world.emulator.add_fault(
                Fault(FaultKind.STATUS, "POST", "/v1/files", status=503, retry_after=60.0)
            )
            it.world.emulator.add_fault(Fault(FaultKind.DROP_AFTER, "POST", "/v1/files"))
            it.write(b"b.txt", b"two")
            it.write(b"c.txt", b"three")
            await asyncio.sleep(30.0)
            it.world.clock.jumps.append(float(HOUR))
            it.world.emulator.add_fault(
                Fault(FaultKind.DROP_BEFORE, "GET", "/v1/files", count=None)
            )
            await asyncio.sleep(60.0)
            mend(it.world)
            await it.rest()
            assert it.world.figures.creates == 3

        it.play(story)


@pytest.mark.parametrize("reads", range(1, 8))
@pytest.mark.parametrize("loss", ["the answer", "the process"])
def test_what_changed_while_it_was_sent_is_not_taken_over_when_its_answer_was_lost(
    loss: str, reads: int
) -> None:
    path = b"a.txt"
    quick = {"retire_delay_seconds": 5.0, "rescan_interval_seconds": 240.0}
    with stage(settle_seconds=2.0, **quick) as it:
        if loss == "the process":
            trap = Trap(Failure.REMOTE_CRASH_AFTER, 2)  # the greeting is the first call
            it.world.wrap_remote = lambda remote: TrappedRemote(remote, it.world, trap)

        async def story() -> None:
            if loss == "the answer":
                it.world.emulator.add_fault(Fault(FaultKind.DROP_AFTER, "POST", "/v1/files"))
            it.change_when_read(path, reads)
            it.write(path, b"first" * 60_000)
            await it.rest()

        it.play(story)
        if it.world.figures.crashes:
            it.world.plan.slow_work = (
                1  # the listing is there before anybody has looked at the disk
            )
            it.play(it.rest)
