"""Send the deletes that somebody just asked for, when no daemon is there to do it.

Deletes only what may go without a younger scan: ids that were given up already, or retired because they were forgotten.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.clock import SystemClock
from fileferry.daemon import custody
from fileferry.daemon.assembly import close_index, connector, open_index
from fileferry.daemon.enlist import pin_endpoint
from fileferry.daemon.liaison import Liaison
from fileferry.daemon.lock import Lock
from fileferry.daemon.logs import Log
from fileferry.daemon.progress import Progress
from fileferry.daemon.room import Room
from fileferry.daemon.workers import ThreadWorkers
from fileferry.errors import FerryError, Held
from fileferry.index import leaving

if TYPE_CHECKING:
    import sqlite3

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.index.writer import Writer

AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Swept:
    """What was deleted, what is left for a later pass, and why."""

    deleted: int
    left: int
    trouble: FerryError | None


def sweep(config: Config, context: Context) -> Swept:
    """Delete what is due and needs no scan.

    Raises:
        LockHeld: somebody else began to work meanwhile, and will do it.
        Held: the index belongs to another endpoint or account, or was moved.
    """
    clock = SystemClock()
    lock = Lock(config.state.directory)
    try:
        writer = open_index(config.state.directory, group=config.state.group, inline=True)
        workers = ThreadWorkers()
        try:
            writer.submit(lambda db: _pin(db, config)).result()
            progress = Progress()
            log = Log("error")
            liaison = Liaison(
                connector(
                    config.remote, clock=clock, workers=workers, log=log, environ=context.environ
                ),
                config.remote,
                {},
                writer=writer,
                workers=workers,
                room=Room(lambda: None, workers=workers, clock=clock, log=log),  # it sends nothing
                clock=clock,
                random=random.Random(),  # noqa: S311 - jitter
                progress=progress,
                log=log,
            )
            asyncio.run(_delete(liaison, writer, progress, clock))
            left = writer.submit(_left).result()
        finally:
            close_index(writer, config.state.directory)
            workers.close()
    finally:
        lock.close()
    if liaison.halted is not None:
        raise Held(liaison.halted, hint="`fileferry accept remote` if that was meant")
    return Swept(progress.deleted, left, liaison.trouble)


def _pin(db: sqlite3.Connection, config: Config) -> None:
    custody.verify(db, config.state.directory)
    pin_endpoint(db, config.remote)


async def _delete(liaison: Liaison, writer: Writer, progress: Progress, clock: SystemClock) -> None:
    try:
        while not liaison.given_up:
            now = clock.wall()
            due = await writer.run(
                lambda db: leaving.begin_deletes(db, now=now, scans_began_at=None, limit=AT_ONCE)  # noqa: B023
            )
            before = progress.deleted
            # One alone first: it greets the remote, so that a wrong key is refused once.
            for item in due[:1]:
                await _send(liaison, item)
            await asyncio.gather(*(_send(liaison, item) for item in due[1:]))
            if progress.deleted == before:
                return
    finally:
        await liaison.stop(0.0)


async def _send(liaison: Liaison, item: leaving.Leaving) -> None:
    try:
        await liaison.delete(item)
    except FerryError:
        return  # recorded, and put off


def _left(db: sqlite3.Connection) -> int:
    row = db.execute(
        "SELECT count(*) FROM remote WHERE state IN ('retiring', 'deleting') AND reason = 'forgotten'"
        " AND proof = 'proven'"
    ).fetchone()
    return int(row[0])
