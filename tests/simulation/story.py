"""One history from its beginning to its end: play it, mend everything, wait for rest, ask the witness."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.daemon.audit import HALT_ACCEPTED_KEY
from fileferry.daemon.enlist import HALT_KEY
from fileferry.index import entries, folders
from simulation import history, mishaps, stage
from simulation.orders import Restart
from simulation.witness import Witness
from simulation.world import World

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from simulation.fate import Figures, Violation
    from simulation.history import Step

REST_SECONDS = 6 * 3_600.0
LOOK_SECONDS = 20.0
QUIET_SECONDS = 200.0
RENEWAL_SECONDS = 400.0
LONGEST_DELAY_SECONDS = 900.0
MEMORY = "/dev/shm"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a history."""

    seed: int
    figures: Figures
    violations: tuple[Violation, ...]
    trace: tuple[tuple[float, str], ...]

    @property
    def is_good(self) -> bool:
        """Say whether every rule held."""
        return not self.violations

    def report(self, *, with_trace: bool = False) -> str:
        """Say what went wrong, and how to see it again."""
        lines = [f"seed {self.seed}:"]
        lines += [f"  {bad.at:10.3f}  {bad.rule}: {bad.detail}" for bad in self.violations]
        lines.append(f"  again: python tests/simulation/run.py --seed {self.seed} --trace")
        if with_trace:
            lines += [f"  {at:10.3f}  {text}" for at, text in self.trace]
        return "\n".join(lines)


def play(
    seed: int, steps: Sequence[Step] | None = None, *, rest_seconds: float = REST_SECONDS
) -> Outcome:
    """Play the history of a seed, or these steps in its world.

    Args:
        rest_seconds: how long it may take, in the end, until nothing is left to be done.
    """
    home = tempfile.mkdtemp(prefix="ferry-", dir=MEMORY if os.path.isdir(MEMORY) else None)
    try:
        return _play(seed, history.make(seed) if steps is None else steps, home, rest_seconds)
    finally:
        shutil.rmtree(home)


def _play(seed: int, steps: Sequence[Step], home: str, rest_seconds: float) -> Outcome:
    world = World(seed, home)
    try:
        witness = Witness(world)
        stage.furnish(world, seed)
        _Story(world, witness, steps, rest_seconds).tell()
    finally:
        world.close()
    return Outcome(seed, world.figures, tuple(world.violations), tuple(world.trace))


class _Story:
    def __init__(
        self, world: World, witness: Witness, steps: Sequence[Step], rest_seconds: float
    ) -> None:
        self._world = world
        self._witness = witness
        self._steps = steps
        self._rest_seconds = rest_seconds
        self._position = 0

    def tell(self) -> None:
        """Play all of it; what went wrong is in the world's violations."""
        world = self._world
        while self._position < len(self._steps):
            world.live(self._next_steps)
        world.plan.clear()
        world.live(self._end)
        if not world.violations:
            world.live(self._once_more)
        world.figures.mistaken_matches = len(self._witness.mistaken)

    async def _next_steps(self) -> None:
        while self._position < len(self._steps):
            step = self._steps[self._position]
            self._position += 1
            await asyncio.sleep(step.after_seconds)
            try:
                await stage.act(self._world, self._witness, step)
            except Restart:
                return

    async def _end(self) -> None:
        """Mend everything, and wait until nothing is left to be done."""
        world, witness = self._world, self._witness
        mend(world)
        await ask_again(world)
        world.tell("mended")
        deadline = world.now() + self._rest_seconds
        while problems := witness.rest.problems():
            if world.now() >= deadline or world.violations:
                for problem in problems:
                    world.object("it converges", problem)
                return
            if witness.truth.removed_by_others:
                await accept_losses(world)
            await asyncio.sleep(LOOK_SECONDS)
        witness.is_final = True
        world.tell("at rest")
        assert world.assembly is not None
        engine = world.assembly.engine
        engine.lookout.mark_all()
        passes = engine.passes
        await asyncio.sleep(QUIET_SECONDS)
        if engine.passes - passes > QUIET_SECONDS / 3:
            world.object("nothing polls without end", f"{engine.passes - passes} passes at rest")

    async def _once_more(self) -> None:
        """Start again, and find nothing to do, until ids have to be renewed."""
        world, witness = self._world, self._witness
        await asyncio.sleep(QUIET_SECONDS)
        for problem in witness.rest.problems(patience=LONGEST_DELAY_SECONDS):
            world.object("it stays as it is", problem)
        assert world.writer is not None
        world.figures.orphans += len(witness.truth.orphans(world.writer.connection))
        for _ in range(2):
            if mishaps.sleep_until_renewal(world, witness, margin_seconds=10.0):
                world.tell("near a renewal")
                await asyncio.sleep(RENEWAL_SECONDS)
                for problem in witness.rest.late_renewals():
                    world.object("ids are renewed in time", problem)


def mend(world: World) -> None:
    """Take away whatever is wrong with the world."""
    world.plan.clear()
    world.emulator.clear_faults()
    world.disk.troubles.clear()
    world.disk.on_read.clear()
    for place in list(world.disk.away):
        world.disk.bring_back(place)


async def ask_again(world: World) -> None:
    """Do what `fileferry retry` does: an answer that was taken for final may have been a passing one."""
    assert world.writer is not None
    assert world.assembly is not None
    now = world.clock.wall()
    await world.writer.run(lambda db: entries.retry(db, None, None, now=now))
    world.assembly.engine.liaison.retry()


async def accept_losses(world: World) -> None:
    """Do what `fileferry accept remote` does when an audit misses so many ids at once that it asks."""
    assert world.writer is not None

    def accept(db: sqlite3.Connection) -> None:
        if folders.meta(db, HALT_KEY) is not None:
            folders.set_meta(db, HALT_ACCEPTED_KEY, "1")
            folders.set_meta(db, HALT_KEY, None)

    await world.writer.run(accept)


__all__ = ["Outcome", "mend", "play"]
