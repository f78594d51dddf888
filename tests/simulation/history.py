"""A history: what happens to a world, step by step, made from a seed.

A step says what kind of thing happens and after how many seconds; which file it happens to is picked, by the step's own
seed, from what is there by then. So a history stays meaningful when steps are taken out of it to make it smaller.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from fileferry.emulator import Fault, FaultKind
from fileferry.index import holds
from fileferry.model import Dedup, Folder
from simulation.disk import EACCES, EIO, ESTALE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from simulation.witness import Witness
    from simulation.world import World


class Kind(StrEnum):
    """What a step does."""

    WRITE = "write"
    EDIT = "edit"
    EDIT_SAME_SIZE = "edit, same size"
    EDIT_SAME_STAMP = "edit, same size and mtime"
    APPEND = "append"
    EMPTY = "empty"
    EDIT_IN_FLIGHT = "edit in flight"
    REPLACE = "replace"
    TOUCH = "touch"
    REMOVE = "remove"
    REMOVE_MANY = "remove many"
    REMOVE_DIRECTORY = "remove directory"
    RENAME = "rename"
    RENAME_OVER = "rename over another"
    SWAP = "swap"
    RENAME_DIRECTORY = "rename directory"
    COPY = "copy"
    BRING_BACK = "bring back old bytes"
    UNREADABLE = "unreadable"
    READABLE = "readable"
    ROOT_AWAY = "root away"
    ROOT_BACK = "root back"
    RULES_FILE = "write rules file"
    CONFIGURE = "configure"
    FAULT = "fault"
    NO_FAULTS = "no faults"
    OTHERS_DELETE = "others delete"
    OTHERS_CREATE = "others create"
    SUSPEND = "suspend"
    CLOCK_FORWARD = "clock forward"
    CLOCK_BACK = "clock back"
    LOOK = "look"
    CRASH = "crash"
    FUSE = "fuse"
    RESTART = "restart"
    APPROVE = "approve"
    DISCARD = "discard"
    DISK_FULL = "disk full"
    DISK_HANGS = "disk hangs"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, so many seconds after the one before."""

    after_seconds: float
    kind: Kind
    seed: int


class Restart(Exception):
    """The story asks for an orderly restart."""


WEIGHTS: dict[Kind, int] = {
    Kind.WRITE: 14,
    Kind.EDIT: 10,
    Kind.EDIT_SAME_SIZE: 3,
    Kind.EDIT_SAME_STAMP: 2,
    Kind.APPEND: 3,
    Kind.EMPTY: 2,
    Kind.EDIT_IN_FLIGHT: 3,
    Kind.REPLACE: 4,
    Kind.TOUCH: 2,
    Kind.REMOVE: 6,
    Kind.REMOVE_MANY: 2,
    Kind.REMOVE_DIRECTORY: 1,
    Kind.RENAME: 5,
    Kind.RENAME_OVER: 2,
    Kind.SWAP: 1,
    Kind.RENAME_DIRECTORY: 3,
    Kind.COPY: 4,
    Kind.BRING_BACK: 5,
    Kind.UNREADABLE: 4,
    Kind.READABLE: 3,
    Kind.ROOT_AWAY: 2,
    Kind.ROOT_BACK: 4,
    Kind.RULES_FILE: 2,
    Kind.CONFIGURE: 2,
    Kind.FAULT: 12,
    Kind.NO_FAULTS: 5,
    Kind.OTHERS_DELETE: 1,
    Kind.OTHERS_CREATE: 2,
    Kind.SUSPEND: 2,
    Kind.CLOCK_FORWARD: 1,
    Kind.CLOCK_BACK: 1,
    Kind.LOOK: 4,
    Kind.CRASH: 3,
    Kind.FUSE: 7,
    Kind.RESTART: 2,
    Kind.APPROVE: 3,
    Kind.DISCARD: 1,
    Kind.DISK_FULL: 1,
    Kind.DISK_HANGS: 1,
    Kind.RETRY: 1,
}
DELAYS = (0.0, 0.0, 0.004, 0.1, 0.5, 1.5, 3.0, 3.0, 8.0, 20.0, 45.0, 90.0)
NAMES = (
    b"a.txt",
    b"b.TXT",
    b"c.md",
    b"d.tmp",
    b"e.log",
    b"plan/a.txt",
    b"plan/b.md",
    b"plan/old/c.md",
)
MORE_NAMES = (b"skip/f.txt", b"plan0", b"plan/x y.txt", b"pl\xffan.txt", b"archive/a.txt")


def make(seed: int, length: int | None = None) -> list[Step]:
    """Return the history of a seed."""
    chance = random.Random(f"history {seed}")
    kinds = list(WEIGHTS)
    # Each history has its own temper: some kinds happen often in it and others never.
    weights = [WEIGHTS[kind] * chance.choice((0, 1, 1, 2, 4)) for kind in kinds]
    count = chance.randint(6, 40) if length is None else length
    first = [Step(0.0, Kind.WRITE, chance.getrandbits(32)) for _ in range(chance.randint(1, 7))]
    return first + [
        Step(
            chance.choice(DELAYS),
            chance.choices(kinds, weights)[0] if any(weights) else Kind.WRITE,
            chance.getrandbits(32),
        )
        for _ in range(count)
    ]


def furnish(world: World, seed: int) -> None:
    """Give a world its folders and its remote's habits."""
    chance = random.Random(f"folders {seed}")
    names = [b"docs"] if chance.random() < 0.7 else [b"docs", b"more"]
    for name in names:
        world.folders.append(
            Folder(
                name=name.decode(),
                root=world.disk.make_root(name),
                expires_after_seconds=chance.choice((None, 3_600, 86_400, 7 * 86_400)),
                settle_seconds=chance.choice((0.0, 2.0, 2.0)),
                settle_max_seconds=chance.choice((10.0, 300.0)),
                delete_delay_seconds=chance.choice((0.0, 30.0, 120.0)),
                retire_delay_seconds=chance.choice((0.0, 30.0, 120.0)),
                rescan_interval_seconds=chance.choice((60.0, 240.0)),
                delete_budget=chance.choice((2, 25)),
                dedup=chance.choice(
                    (Dedup.CONTENT, Dedup.CONTENT, Dedup.CONTENT_AND_NAME, Dedup.OFF)
                ),
                remote_name=chance.choice(("{name}", "{name}", "{stem}-{digest8}{suffix}")),
            )
        )
    world.settings = replace(
        world.settings,
        uploads_per_minute=chance.choice((0, 1000, 20)),
        concurrency=chance.choice((1, 2, 8)),
        list_lag_seconds=chance.choice((10.0, 60.0)),
        check_interval_seconds=chance.choice((300.0, 900.0)),
    )
    world.emulator.set_latency_ms(chance.choice((0, 0, 20, 400)))
    world.emulator.clock.offset = chance.choice((0.0, 0.0, -40.0, 3.0, 7_200.0))


async def act(world: World, witness: Witness, step: Step) -> None:
    """Let one step happen.

    Raises:
        Crash: it was the end of this life.
        Restart: the same, in order.
    """
    chance = random.Random(step.seed)
    world.tell(f"step {step.kind}")
    await _ACTS[step.kind](_Scene(world, witness, chance))


@dataclass(slots=True)
class _Scene:
    """Where a step happens, with the chance that it has."""

    world: World
    witness: Witness
    chance: random.Random

    def root(self) -> bytes | None:
        """Pick a root that is where it belongs."""
        roots = [folder.root for folder in self.world.folders]
        roots = [place for place in roots if place not in self.world.disk.away]
        return self.chance.choice(roots) if roots else None

    def file(self) -> bytes | None:
        """Pick a file."""
        place = self.root()
        files = [] if place is None else self.world.disk.below(place)
        files = [path for path in files if not path.endswith(b"/.ferryignore")]
        return self.chance.choice(files) if files else None

    def free(self) -> bytes | None:
        """Pick a path, taken or not, that can have a file."""
        place = self.root()
        if place is None:
            return None
        name = self.chance.choice(NAMES if self.chance.random() < 0.8 else MORE_NAMES)
        path = place + b"/" + name
        parent = os.path.dirname(path)
        while parent != place:
            if parent in self.world.disk.files:
                return None
            parent = os.path.dirname(parent)
        return None if os.path.isdir(path) else path

    def content(self) -> bytes:
        """Make up bytes: few different ones, so that twins are common."""
        luck = self.chance.random()
        if luck < 0.04:
            return b"large" * 60_000 + bytes([self.chance.randrange(4)])
        if luck < 0.4:
            return b"one of a few %d" % self.chance.randrange(4)
        return b"content %d\n" % self.chance.randrange(1_000_000)

    def notice(self, *paths: bytes) -> None:
        """Have the watcher tell of changes: at once, late, twice or never."""
        for path in paths:
            luck = self.chance.random()
            if luck < 0.15:
                continue
            times = 2 if luck > 0.9 else 1
            for _ in range(times):
                delay = self.chance.choice((0.0, 0.0, 0.002, 0.3, 4.0))
                _mark_later(self.world, path, delay)


def _mark_later(world: World, path: bytes, delay: float) -> None:
    assembly, loop = world.assembly, world.loop
    if assembly is None or loop is None:
        return
    lookout = assembly.engine.lookout
    for folder_id, mirror in assembly.engine.mirrors.items():
        place = mirror.folder.root
        if path == place or path.startswith(place + b"/"):
            relative = path[len(place) + 1 :]
            if delay:
                loop.call_later(delay, lookout.mark, folder_id, relative)
            else:
                lookout.mark(folder_id, relative)


async def _write(scene: _Scene) -> None:
    path = scene.free()
    if path is not None:
        scene.world.disk.write(path, scene.content())
        scene.notice(path)


async def _edit(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.write(path, scene.content())
        scene.notice(path)


async def _edit_same_size(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        old = scene.world.disk.files[path]
        scene.world.disk.write(
            path, bytes(scene.chance.randrange(97, 123) for _ in old[:1]) + old[1:]
        )
        scene.notice(path)


async def _edit_same_stamp(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        old = scene.world.disk.files[path]
        mtime_ns = os.stat(path).st_mtime_ns
        new = bytes(scene.chance.randrange(97, 123) for _ in old[:1]) + old[1:]
        scene.world.disk.write(path, new, mtime_ns=mtime_ns)
        scene.notice(path)


async def _append(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.write(path, scene.world.disk.files[path] + b"and more\n")
        scene.notice(path)


async def _empty(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.write(path, b"")
        scene.notice(path)


async def _edit_in_flight(scene: _Scene) -> None:
    """Write a file that is large enough to be streamed, and again about when it is being sent."""
    world, path = scene.world, scene.free()
    if path is None or world.loop is None:
        return
    world.disk.write(path, b"first" * 60_000)
    _mark_later(world, path, 0.0)
    folder = next(folder for folder in world.folders if path.startswith(folder.root + b"/"))
    # At the same stamp but for its change time, so that only the digest can tell.
    second = b"other" * 60_000

    def again() -> None:
        if world.disk.files.get(path) == b"first" * 60_000 and folder.root not in world.disk.away:
            world.tell("edited in flight")
            world.disk.write(path, second)

    wait = scene.chance.choice((0.02, 0.05, 0.15, 0.3))
    world.loop.call_later(folder.settle_seconds + wait, again)


async def _replace(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.replace(path, scene.content())
        scene.notice(path)


async def _touch(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.touch(path)
        scene.notice(path)


async def _remove(scene: _Scene) -> None:
    path = scene.file()
    if path is not None:
        scene.world.disk.remove(path)
        scene.notice(path)


async def _remove_many(scene: _Scene) -> None:
    for _ in range(4):
        await _remove(scene)


async def _remove_directory(scene: _Scene) -> None:
    directory = _directory(scene)
    if directory is not None:
        below = scene.world.disk.below(directory)
        for path in below:
            scene.world.disk.remove(path)
        scene.notice(directory)


async def _rename(scene: _Scene) -> None:
    path, target = scene.file(), scene.free()
    if path is not None and target is not None and target not in scene.world.disk.files:
        scene.world.disk.rename(path, target)
        scene.notice(path, target)


async def _rename_over(scene: _Scene) -> None:
    path, target = scene.file(), scene.file()
    if path is not None and target is not None and path != target:
        scene.world.disk.rename(path, target)
        scene.notice(path, target)


async def _swap(scene: _Scene) -> None:
    path, other = scene.file(), scene.file()
    if path is not None and other is not None and path != other:
        between = path + b".swap"
        scene.world.disk.rename(path, between)
        scene.world.disk.rename(other, path)
        scene.world.disk.rename(between, other)
        scene.notice(path, other)


async def _rename_directory(scene: _Scene) -> None:
    directory = _directory(scene)
    if directory is not None:
        target = directory + b"%d" % scene.chance.randrange(3)
        if not scene.world.disk.stands(target):
            scene.world.disk.rename(directory, target)
            scene.notice(directory, target)


def _directory(scene: _Scene) -> bytes | None:
    place = scene.root()
    directories = [] if place is None else scene.world.disk.directories(place)
    return scene.chance.choice(directories) if directories else None


async def _copy(scene: _Scene) -> None:
    path, target = scene.file(), scene.free()
    if path is not None and target is not None:
        scene.world.disk.write(target, scene.world.disk.files[path])
        scene.notice(target)


async def _bring_back(scene: _Scene) -> None:
    target = scene.file() if scene.chance.random() < 0.3 else scene.free()
    old = scene.world.disk.contents
    if target is not None and old:
        recent = old[-3:] if scene.chance.random() < 0.6 else old
        scene.world.disk.write(target, scene.chance.choice(recent))
        scene.notice(target)


async def _unreadable(scene: _Scene) -> None:
    places = [
        place for place in (scene.root(), scene.file(), _directory(scene)) if place is not None
    ]
    if places:
        trouble = scene.chance.choice((EACCES, EACCES, EIO, ESTALE))
        place = scene.chance.choice(places)
        scene.world.disk.troubles[place] = trouble
        scene.notice(place, *scene.world.disk.below(place))


async def _readable(scene: _Scene) -> None:
    places = list(scene.world.disk.troubles)
    scene.world.disk.troubles.clear()
    scene.notice(*places)


async def _root_away(scene: _Scene) -> None:
    place = scene.root()
    how = scene.chance.choice(("gone", "emptied", "replaced"))
    if place is None or scene.world.writer is None:
        return
    known = scene.world.writer.connection.execute(
        "SELECT count(*) FROM entry JOIN folder ON folder.id = folder_id WHERE root = ? AND held_id IS NOT NULL"
        " AND absent = 0 AND state NOT IN ('ignored', 'kept')",
        (place,),
    ).fetchone()[0]
    if known < 2:
        return  # a folder of one file that is empty now was emptied by its owner
    below = scene.world.disk.below(place)
    scene.world.disk.take_away(place, how)
    scene.notice(place, *below)


async def _root_back(scene: _Scene) -> None:
    for place in list(scene.world.disk.away):
        scene.world.disk.bring_back(place)
        scene.notice(place)


async def _rules_file(scene: _Scene) -> None:
    place = scene.root()
    if place is not None:
        path = place + b"/.ferryignore"
        scene.world.disk.write(
            path, scene.chance.choice((b"", b"*.log\n", b"skip/\n", b"*.md\nold/\n"))
        )
        scene.notice(path)


async def _configure(scene: _Scene) -> None:
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


async def _fault(scene: _Scene) -> None:
    chance, emulator = scene.chance, scene.world.emulator
    method, path = chance.choice(
        (
            ("POST", "/v1/files"),
            ("POST", "/v1/files"),
            ("GET", "/v1/files"),
            ("GET", "/v1/files/*"),
            ("DELETE", "/v1/files/*"),
            (None, "/v1/**"),
        )
    )
    kind = chance.choice(
        (
            FaultKind.STATUS,
            FaultKind.STATUS,
            FaultKind.DROP_BEFORE,
            FaultKind.DROP_AFTER,
            FaultKind.DROP_AFTER,
            FaultKind.TRUNCATE,
            FaultKind.DELAY,
            FaultKind.STALE_LISTING,
            FaultKind.STALE_GET,
            FaultKind.NULL_BYTES,
        )
    )
    lag = scene.world.settings.list_lag_seconds
    status = chance.choice((429, 500, 503, 408, 409, 401, 400, 413))
    emulator.add_fault(
        Fault(
            kind,
            method=method,
            path=path,
            count=chance.choice((1, 1, 2, 3, None)),
            skip=chance.choice((0, 0, 0, 1)),
            status=status,
            seconds=chance.choice((1.0, 200.0)) if kind is FaultKind.DELAY else lag * 0.9,
            deleted_seconds=lag,
            retry_after=chance.choice((None, 2.0)) if status == 429 else None,
            code="invalid_api_key" if status == 401 else None,
        )
    )


async def _no_faults(scene: _Scene) -> None:
    scene.world.emulator.clear_faults()


async def _others_delete(scene: _Scene) -> None:
    world = scene.world
    ours = [file_id for file_id in scene.witness.sent if file_id not in scene.witness.deleted]
    if ours:
        with world.as_somebody_else():
            world.emulator.store.delete(scene.chance.choice(ours), world.emulator.clock.now())


async def _others_create(scene: _Scene) -> None:
    world = scene.world
    path = scene.file()
    if path is None or not world.disk.files[path]:
        return
    content = world.disk.files[path]
    name = os.path.basename(path).decode("utf-8", "backslashreplace").lower()
    expiries = [folder.expires_after_seconds for folder in world.folders]
    with world.as_somebody_else():
        await world.emulator.add_file(
            content, filename=name, expires_after=scene.chance.choice((None, *expiries))
        )


async def _suspend(scene: _Scene) -> None:
    scene.world.clock.slept_seconds += scene.chance.choice((3_600.0, 5_000.0, 90_000.0, 800_000.0))


async def _clock_forward(scene: _Scene) -> None:
    scene.world.clock.jumps.append(scene.chance.choice((30.0, 4_000.0, 100_000.0)))


async def _clock_back(scene: _Scene) -> None:
    scene.world.clock.jumps.append(-scene.chance.choice((1.0, 30.0, 4_000.0)))


async def _look(scene: _Scene) -> None:
    place = scene.root()
    if place is not None:
        _mark_later(scene.world, place, 0.0)


async def _crash(scene: _Scene) -> None:
    scene.world.die("a random moment")


async def _fuse(scene: _Scene) -> None:
    scene.world.plan.fuse = scene.chance.choice((1, 2, 3, 5, 8, 13, 21, 34, 80))


async def _restart(_scene: _Scene) -> None:
    raise Restart


async def _approve(scene: _Scene) -> None:
    await _decide(scene, is_approved=True)


async def _discard(scene: _Scene) -> None:
    await _decide(scene, is_approved=False)


async def _decide(scene: _Scene, *, is_approved: bool) -> None:
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


async def _disk_full(scene: _Scene) -> None:
    count = scene.chance.choice((1, 2, 5))
    scene.world.plan.full_commits = count
    scene.world.expected_errors += count


async def _disk_hangs(scene: _Scene) -> None:
    scene.world.plan.slow_work = scene.chance.choice((1, 2))


async def _retry(scene: _Scene) -> None:
    if scene.world.assembly is not None:
        scene.world.assembly.engine.liaison.retry()


_ACTS: dict[Kind, Callable[[_Scene], Awaitable[None]]] = {
    Kind.WRITE: _write,
    Kind.EDIT: _edit,
    Kind.EDIT_SAME_SIZE: _edit_same_size,
    Kind.EDIT_SAME_STAMP: _edit_same_stamp,
    Kind.APPEND: _append,
    Kind.EMPTY: _empty,
    Kind.EDIT_IN_FLIGHT: _edit_in_flight,
    Kind.REPLACE: _replace,
    Kind.TOUCH: _touch,
    Kind.REMOVE: _remove,
    Kind.REMOVE_MANY: _remove_many,
    Kind.REMOVE_DIRECTORY: _remove_directory,
    Kind.RENAME: _rename,
    Kind.RENAME_OVER: _rename_over,
    Kind.SWAP: _swap,
    Kind.RENAME_DIRECTORY: _rename_directory,
    Kind.COPY: _copy,
    Kind.BRING_BACK: _bring_back,
    Kind.UNREADABLE: _unreadable,
    Kind.READABLE: _readable,
    Kind.ROOT_AWAY: _root_away,
    Kind.ROOT_BACK: _root_back,
    Kind.RULES_FILE: _rules_file,
    Kind.CONFIGURE: _configure,
    Kind.FAULT: _fault,
    Kind.NO_FAULTS: _no_faults,
    Kind.OTHERS_DELETE: _others_delete,
    Kind.OTHERS_CREATE: _others_create,
    Kind.SUSPEND: _suspend,
    Kind.CLOCK_FORWARD: _clock_forward,
    Kind.CLOCK_BACK: _clock_back,
    Kind.LOOK: _look,
    Kind.CRASH: _crash,
    Kind.FUSE: _fuse,
    Kind.RESTART: _restart,
    Kind.APPROVE: _approve,
    Kind.DISCARD: _discard,
    Kind.DISK_FULL: _disk_full,
    Kind.DISK_HANGS: _disk_hangs,
    Kind.RETRY: _retry,
}
