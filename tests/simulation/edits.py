"""What people and their programs do to the files of a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.scene import Scene


async def write(scene: Scene) -> None:
    path = scene.free()
    if path is not None:
        scene.world.disk.write(path, scene.content())
        scene.notice(path)


async def edit(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.write(path, scene.content())
        scene.notice(path)


async def edit_same_size(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        old = scene.world.disk.files[path]
        scene.world.disk.write(
            path, bytes(scene.chance.randrange(97, 123) for _ in old[:1]) + old[1:]
        )
        scene.notice(path)


async def edit_same_stamp(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        old = scene.world.disk.files[path]
        mtime_ns = os.stat(path).st_mtime_ns
        new = bytes(scene.chance.randrange(97, 123) for _ in old[:1]) + old[1:]
        scene.world.disk.write(path, new, mtime_ns=mtime_ns)
        scene.notice(path)


async def append(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.write(path, scene.world.disk.files[path] + b"and more\n")
        scene.notice(path)


async def empty(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.write(path, b"")
        scene.notice(path)


async def edit_in_flight(scene: Scene) -> None:
    """Write a file that is large enough to be streamed, and again while it is read or sent."""
    world, path = scene.world, scene.free()
    if path is None or world.loop is None:
        return
    first, second = b"first" * 60_000, b"other" * 60_000
    world.disk.write(path, first)
    scene.mark_later(path, 0.0)

    def again() -> None:
        if world.disk.files.get(path) == first and scene.can_stand(path):
            world.tell("edited in flight")
            world.disk.write(path, second)

    world.disk.on_read[path] = [scene.chance.randint(1, 12), again]


async def edit_twice(scene: Scene) -> None:
    """Write a file, and again a moment later, of the same size: its stamp may be the same."""
    world, path = scene.world, scene.free()
    if path is None or world.loop is None:
        return
    first, second, third = (
        word + b" %d" % scene.chance.randrange(9) for word in (b"first", b"other", b"third")
    )
    reads, wait = scene.chance.randint(1, 3), scene.chance.choice((0.0003, 0.001, 0.002, 0.003))

    def change(old: bytes, new: bytes) -> None:
        if world.disk.files.get(path) == old and scene.can_stand(path):
            world.disk.write(path, new)

    def change_when_read() -> None:
        change(first, second)
        if world.loop is not None:
            world.loop.call_later(wait, change, second, third)

    world.disk.write(path, first)
    scene.mark_later(path, 0.0)
    if scene.chance.random() < 0.5:  # without a time to settle it is read again at once
        world.disk.on_read[path] = [reads, change_when_read]
    else:
        world.loop.call_later(wait, change, first, second)


async def replace(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.replace(path, scene.content())
        scene.notice(path)


async def touch(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.touch(path)
        scene.notice(path)


async def remove(scene: Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.remove(path)
        scene.notice(path)


async def remove_many(scene: Scene) -> None:
    for _ in range(4):
        await remove(scene)


async def remove_directory(scene: Scene) -> None:
    directory = scene.directory()
    if directory is not None:
        below = scene.world.disk.below(directory)
        for path in below:
            scene.world.disk.remove(path)
        scene.notice(directory)


async def rename(scene: Scene) -> None:
    path, target = scene.file(), scene.free()
    if path is not None and target is not None and target not in scene.world.disk.files:
        scene.world.disk.rename(path, target)
        scene.notice(path, target)


async def rename_over(scene: Scene) -> None:
    path, target = scene.file(), scene.file()
    if path is not None and target is not None and path != target:
        scene.world.disk.rename(path, target)
        scene.notice(path, target)


async def swap(scene: Scene) -> None:
    path, other = scene.file(), scene.file()
    if path is not None and other is not None and path != other:
        between = path + b".swap"
        scene.world.disk.rename(path, between)
        scene.world.disk.rename(other, path)
        scene.world.disk.rename(between, other)
        scene.notice(path, other)


async def rename_directory(scene: Scene) -> None:
    directory = scene.directory()
    if directory is not None:
        target = directory + b"%d" % scene.chance.randrange(3)
        if not scene.world.disk.stands(target):
            scene.world.disk.rename(directory, target)
            scene.notice(directory, target)


async def copy(scene: Scene) -> None:
    path, target = scene.file(), scene.free()
    if path is not None and target is not None:
        scene.world.disk.write(target, scene.world.disk.files[path])
        scene.notice(target)


async def bring_back(scene: Scene) -> None:
    target = scene.file() if scene.chance.random() < 0.3 else scene.free()
    old = scene.world.disk.contents
    if target is not None and old:
        recent = old[-3:] if scene.chance.random() < 0.6 else old
        scene.world.disk.write(target, scene.chance.choice(recent))
        scene.notice(target)


async def flicker(scene: Scene) -> None:
    """Remove a file, tell of it, and have it come back a moment later, mostly without a word."""
    world, path = scene.world, scene.file()
    if path is None or world.loop is None:
        return
    content = world.disk.files[path]
    if scene.chance.random() < 0.3:
        content = scene.content()
    is_told = scene.chance.random() < 0.3

    def back() -> None:
        if path not in world.disk.files and scene.can_stand(path):
            world.tell("back again")
            world.disk.write(path, content)
            if is_told:
                scene.mark_later(path, 0.0)

    world.disk.remove(path)
    scene.mark_later(path, 0.0)
    world.loop.call_later(scene.chance.choice((0.05, 0.4, 0.4, 0.9, 5.0)), back)


async def rules_file(scene: Scene) -> None:
    place = scene.root()
    if place is not None:
        path = place + b"/.ferryignore"
        scene.world.disk.write(
            path, scene.chance.choice((b"", b"*.log\n", b"skip/\n", b"*.md\nold/\n"))
        )
        scene.notice(path)
