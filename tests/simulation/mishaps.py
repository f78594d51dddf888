"""What goes wrong, at the disk, at the remote, with the clock and with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fileferry.emulator import Fault, FaultKind
from simulation import edits
from simulation.disk import EACCES, EIO, ESTALE

if TYPE_CHECKING:
    from simulation.scene import Scene
    from simulation.witness import Witness
    from simulation.world import World


async def unreadable(scene: Scene) -> None:
    places = [
        place for place in (scene.root(), scene.file(), scene.directory()) if place is not None
    ]
    if places:
        trouble = scene.chance.choice((EACCES, EACCES, EIO, ESTALE))
        place = scene.chance.choice(places)
        scene.world.disk.troubles[place] = trouble
        scene.notice(place, *scene.world.disk.below(place))


async def readable(scene: Scene) -> None:
    places = list(scene.world.disk.troubles)
    scene.world.disk.troubles.clear()
    scene.notice(*places)


async def root_away(scene: Scene) -> None:
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


async def root_back(scene: Scene) -> None:
    for place in list(scene.world.disk.away):
        scene.world.disk.bring_back(place)
        scene.notice(place)


async def fault(scene: Scene) -> None:
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


async def no_faults(scene: Scene) -> None:
    scene.world.emulator.clear_faults()


async def blackout(scene: Scene) -> None:
    """Lose the answer to an upload, and then hear nothing for longer than listings lag; the first that comes through
    after that has a hole in it, where the file is.
    """
    world = scene.world
    if world.loop is None:
        return
    lag = world.settings.list_lag_seconds
    await edits.write(scene)
    world.emulator.add_fault(Fault(FaultKind.DROP_AFTER, "POST", "/v1/files"))
    world.emulator.add_fault(Fault(FaultKind.STATUS, "GET", "/v1/files", count=None, status=503))

    def ends() -> None:
        world.tell("the blackout ends")
        world.emulator.clear_faults()
        _leave_out_once(scene)

    world.loop.call_later(lag * scene.chance.choice((0.4, 1.5, 1.5)), ends)


def _leave_out_once(scene: Scene) -> None:
    """Have the next listing leave out what no answer told of, unless one has done so already: two would be too many."""
    world = scene.world
    store: Any = world.emulator.store
    if world.writer is None or "page" in vars(store):
        return
    missed = "SELECT 1 FROM intent WHERE state = 'unknown' AND absences > 0"
    if world.writer.connection.execute(missed).fetchone():
        return
    leave_out(world, frozenset(scene.witness.truth.orphans(world.writer.connection)))


def leave_out(world: World, ids: frozenset[str]) -> None:
    """Have the next listing leave out some ids."""
    store: Any = world.emulator.store
    whole = store.page

    def page(*args: Any, limit: int, **options: Any) -> Any:
        records = whole(*args, limit=limit, **options)
        if limit > 2:  # a greeting asks for one
            del store.page
            records = [record for record in records if record.id not in ids]
        return records

    store.page = page


async def hole(scene: Scene) -> None:
    """Have the next listing leave out an id that answers for a path."""
    world = scene.world
    if world.writer is None or "page" in vars(world.emulator.store):
        return
    live = world.writer.connection.execute(
        "SELECT file_id FROM remote WHERE state = 'live' ORDER BY file_id"
    ).fetchall()
    if live:
        leave_out(world, frozenset(scene.chance.choice(live)))


async def suspend(scene: Scene) -> None:
    scene.world.clock.slept_seconds += scene.chance.choice((3_600.0, 5_000.0, 90_000.0, 800_000.0))


async def near_expiry(scene: Scene) -> None:
    """Sleep until shortly before the first renewal is due."""
    world = scene.world
    if world.writer is not None:
        margin = scene.chance.choice((0.5, 20.0))
        sleep_until_renewal(world, scene.witness, margin_seconds=margin)


def sleep_until_renewal(world: World, witness: Witness, *, margin_seconds: float) -> bool:
    """Suspend the host until so long before the first renewal; say whether there is one."""
    renew_at = witness.rest.next_renewal()
    if renew_at is None:
        return False
    ahead = renew_at - witness.truth.server_now() - margin_seconds
    world.clock.slept_seconds += max(0.0, ahead)
    return True


async def clock_forward(scene: Scene) -> None:
    scene.world.clock.jumps.append(scene.chance.choice((30.0, 4_000.0, 100_000.0)))


async def clock_back(scene: Scene) -> None:
    scene.world.clock.jumps.append(-scene.chance.choice((1.0, 30.0, 4_000.0)))


async def crash(scene: Scene) -> None:
    scene.world.die("a random moment")


async def fuse(scene: Scene) -> None:
    scene.world.plan.fuse = scene.chance.choice((1, 2, 3, 5, 8, 13, 21, 34, 80))


async def deaf(scene: Scene) -> None:
    scene.world.plan.dies_unheard = scene.chance.choice((0, 0, 1))


async def disk_full(scene: Scene) -> None:
    count = scene.chance.choice((1, 2, 5))
    scene.world.plan.full_commits = count
    scene.world.expected_errors += count


async def disk_hangs(scene: Scene) -> None:
    scene.world.plan.slow_work = scene.chance.choice((1, 2))
