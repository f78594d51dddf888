"""What other people do to the project that fileferry sends to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fileferry.emulator import Fault, FaultKind
from fileferry.index import trust
from simulation.mishaps import sleep_until_renewal

if TYPE_CHECKING:
    from simulation.scene import Scene


async def others_delete(scene: Scene) -> None:
    world = scene.world
    truth = scene.witness.truth
    ours = [file_id for file_id in truth.sent if file_id not in truth.deleted]
    if ours:
        with world.as_somebody_else():
            world.emulator.store.delete(scene.chance.choice(ours), world.emulator.clock.now())


async def others_delete_renewed(scene: Scene) -> None:
    """Sleep until a renewal, and have somebody delete the young id while the old one is on its way out. That is found
    out when uploads hang, and the file is touched.
    """
    world = scene.world
    if world.loop is None or not sleep_until_renewal(world, scene.witness, margin_seconds=1.0):
        return
    found_out = 10.0 + world.settings.list_lag_seconds

    def delete() -> None:
        renewed = _renewed(scene)
        if renewed is None:
            return
        file_id, path = renewed
        world.tell(f"others delete {file_id}")
        with world.as_somebody_else():
            world.emulator.store.delete(file_id, world.emulator.clock.now())
        assert world.loop is not None
        world.loop.call_later(found_out, find_out, path)

    def find_out(path: bytes) -> None:
        assert world.writer is not None
        world.emulator.add_fault(Fault(FaultKind.DELAY, "POST", "/v1/files", seconds=30.0))
        world.writer.submit(trust.ask)
        if world.assembly is not None:
            world.assembly.engine.wake()
        if path in world.disk.files and scene.can_stand(path):
            world.disk.touch(path)
            scene.mark_later(path, 1.0)

    world.loop.call_later(5.0, delete)


def _renewed(scene: Scene) -> tuple[str, bytes] | None:
    """Return a young id whose old one is still there, and a path that it answers for."""
    if scene.world.writer is None:
        return None
    rows = scene.world.writer.connection.execute(
        "SELECT young.file_id, CAST(folder.root || X'2F' || path AS BLOB) FROM remote AS young"
        " JOIN entry ON held_id = young.content_id JOIN folder ON folder.id = entry.folder_id"
        " JOIN remote AS old ON old.content_id = young.content_id"
        " WHERE young.state = 'live' AND old.state = 'retiring' AND old.reason = 'renewed' ORDER BY 1, 2"
    ).fetchall()
    living = scene.witness.truth.living()
    return next(((file_id, path) for file_id, path in rows if file_id in living), None)


async def others_create(scene: Scene) -> None:
    world = scene.world
    path = scene.file()
    if path is None or not world.disk.files[path]:
        return
    content = world.disk.files[path]
    name = _sent_name(path)
    expiries = [folder.expires_after_seconds for folder in world.folders]
    with world.as_somebody_else():
        await world.emulator.add_file(
            content, filename=name, expires_after=scene.chance.choice((None, *expiries))
        )


async def twin(scene: Scene) -> None:
    """Lose the answer to an upload, stored or not, while somebody else sends a file of the same name and size."""
    world, path = scene.world, scene.free()
    if path is None or world.loop is None:
        return
    folder = next(folder for folder in world.folders if path.startswith(folder.root + b"/"))
    ours, theirs = (
        b"ours %d" % scene.chance.randrange(999),
        b"them %d" % scene.chance.randrange(999),
    )
    world.disk.write(path, ours)
    scene.mark_later(path, 0.0)
    kind = scene.chance.choice((FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER))
    world.emulator.add_fault(Fault(kind, "POST", "/v1/files"))
    expiry = scene.chance.choice((None, folder.expires_after_seconds))

    async def send() -> None:
        with world.as_somebody_else():
            await world.emulator.add_file(
                theirs[: len(ours)].ljust(len(ours)),
                filename=_sent_name(path),
                expires_after=expiry,
            )

    loop, wait = world.loop, scene.chance.choice((0.0, 0.3, 1.0))
    loop.call_later(folder.settle_seconds + wait, lambda: loop.create_task(send()))


def _sent_name(path: bytes) -> str:
    """Return the name that a file is sent under where folders do not say otherwise."""
    return os.path.basename(path).decode("utf-8", "backslashreplace").lower()
