"""When a world is at rest: the witness must not call it so while something is left to be done."""

from __future__ import annotations

import asyncio

from fileferry.index import holds
from simulation.test_findings import Stage, stage


async def choose_to_keep(it: Stage) -> None:
    assert it.world.writer is not None
    now = it.world.clock.wall()
    (hold,) = await it.world.writer.run(holds.undecided)
    await it.world.writer.run(lambda db: holds.discard(db, hold_id=hold.hold_id, now=now))


def test_what_was_kept_and_stands_again_with_other_bytes_has_to_be_sent() -> None:
    names = (b"a.txt", b"b.txt", b"c.txt")
    with stage(delete_budget=0, delete_delay_seconds=0.0) as it:
        for name in names:
            it.write(name, name)

        async def keep() -> None:
            await it.rest()
            for name in names[:2]:
                it.world.disk.remove(it.root + b"/" + name)
            it.look()
            await asyncio.sleep(60.0)
            await choose_to_keep(it)

        async def see() -> None:
            (problem,) = it.witness.rest.problems()
            assert "/docs/a.txt' is kept" in problem
            await it.rest()
            assert it.world.figures.creates == len(names) + 1

        it.play(keep)
        it.world.disk.write(it.root + b"/a.txt", b"other")  # nobody is there to hear of it
        it.play(see)
