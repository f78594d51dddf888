"""What the owner of a folder asks of fileferry: other settings, a restart, a decision about what a guard holds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fileferry.index import holds

if TYPE_CHECKING:
    from simulation.scene import Scene


class Restart(Exception):
    """The story asks for an orderly restart."""


async def look(scene: Scene) -> None:
    place = scene.root()
    if place is not None:
        scene.mark_later(place, 0.0)


async def configure(scene: Scene) -> None:
    world, chance = scene.world, scene.chance
    number = chance.randrange(len(world.folders))
    folder = world.folders[number]
    if chance.random() < 0.5:
        changed = replace(folder, expires_after_seconds=chance.choice((None, 3_600, 86_400)))
    elif chance.random() < 0.7:
        changed = replace(
            folder, ignore=chance.choice(((), ("*.tmp",), ("plan/",), ("*.txt", "old/")))
        )
    else:
        changed = replace(folder, remote_name=chance.choice(("{name}", "{digest8}{suffix}")))
    world.folders[number] = changed
    raise Restart


async def restart(_scene: Scene) -> None:
    raise Restart


async def approve(scene: Scene) -> None:
    await decide(scene, is_approved=True)


async def discard(scene: Scene) -> None:
    await decide(scene, is_approved=False)


async def decide(scene: Scene, *, is_approved: bool) -> None:
    world = scene.world
    assert world.writer is not None
    now = world.clock.wall()
    decide = holds.approve if is_approved else holds.discard
    for hold in await world.writer.run(holds.undecided):
        if is_approved:
            scene.witness.approved += hold.files
        await world.writer.run(partial(decide, hold_id=hold.hold_id, now=now))
    if world.assembly is not None:
        world.assembly.engine.wake()


async def retry(scene: Scene) -> None:
    if scene.world.assembly is not None:
        scene.world.assembly.engine.liaison.retry()
