"""Put an engine together: the one place where collaborators are chosen and wrapped."""

from __future__ import annotations

import contextlib
import os
import random as randomness
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fileferry.daemon import backups, custody
from fileferry.daemon.departures import Departures
from fileferry.daemon.engine import Engine
from fileferry.daemon.enlist import enlist, halt_elsewhere
from fileferry.daemon.liaison import Liaison
from fileferry.daemon.lookout import Lookout
from fileferry.daemon.progress import Progress
from fileferry.daemon.readings import Readings
from fileferry.daemon.room import Room
from fileferry.daemon.survey import Surveyor
from fileferry.errors import ConfigError, Held
from fileferry.index import intents, trust
from fileferry.index.connection import open_writer
from fileferry.index.identity import FILE_NAME
from fileferry.index.whereabouts import Whereabouts
from fileferry.index.writer import InlineWriter, ThreadWriter
from fileferry.plan import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.workers import Workers
    from fileferry.index.writer import Patience, Writer
    from fileferry.model import Folder, RemoteSettings
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace


@dataclass(slots=True)
class Assembly:
    """An engine and what has to be closed after it."""

    engine: Engine
    writer: Writer
    workers: Workers

    def close(self) -> None:
        """Finish what is queued for the index, and close it."""
        self.writer.close()
        self.workers.close()


def open_index(
    state_directory: str,
    *,
    group: str = "",
    inline: bool = False,
    patience: Patience | None = None,
) -> Writer:
    """Open the index of a state directory for writing; whoever calls holds its lock.

    Args:
        state_directory: where it is.
        group: who may read it.
        inline: without a thread of its own.
        patience: how long to wait for a disk that takes nothing; not at all by default.

    Raises:
        IndexDamaged: it cannot be used, or is gone though it was there.
        IndexUnwritable: its disk takes nothing now.
        ConfigError: it is on a network file system.
        FerryError: this user may not write there.
    """
    custody.refuse_network(state_directory)
    custody.refuse_unwritable(state_directory)
    backups.require_index(state_directory)
    path = os.path.join(state_directory, FILE_NAME)
    connection = open_writer(path, verify=True)
    try:
        share(state_directory, group)
        whereabouts = Whereabouts.of(path)
    except BaseException:  # an interrupt, too, must not leave it open
        connection.close()
        raise
    return InlineWriter(connection) if inline else ThreadWriter(connection, patience, whereabouts)


def close_index(writer: Writer, state_directory: str) -> None:
    """Finish what is queued for the index, close it, and note how far it has come."""
    writer.close()
    # A disk that takes no note costs a check at the next start, and nothing that is done here.
    with contextlib.suppress(OSError, sqlite3.Error):
        custody.mark(state_directory)


def group_id(group: str) -> int:
    """Return the number of a group; -1 for none.

    Raises:
        ConfigError: there is no such group.
    """
    if not group:
        return -1
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise ConfigError(
            f"[state] group `{group}` does not exist", hint=f"create it: `groupadd {group}`"
        ) from error


def share(state_directory: str, group: str) -> None:
    """Let a group read the index, or nobody: directory 0750 and files 0640, or 0700 and 0600.

    Raises:
        ConfigError: there is no such group.
    """
    gid = group_id(group)
    os.chown(state_directory, -1, gid)
    os.chmod(state_directory, 0o750 if group else 0o700)
    for name in os.listdir(state_directory):
        if name.startswith(FILE_NAME):
            path = os.path.join(state_directory, name)
            os.chown(path, -1, gid)
            os.chmod(path, 0o640 if group else 0o600)


def assemble(
    *,
    folders: Sequence[Folder],
    settings: RemoteSettings,
    state_directory: str,
    writer: Writer,
    workers: Workers,
    clock: Clock,
    log: Log,
    connect: Callable[[], tuple[Remote, Pace]],
    scan_for_deletes: bool,
    random: randomness.Random | None = None,
) -> Assembly:
    """Build an engine over an open index.

    Args:
        folders, settings: from the configuration.
        state_directory: where the index is.
        writer, workers, clock, log, random: collaborators.
        connect: makes the Remote and its Pace when first needed.
        scan_for_deletes: whether due deletes may have folders scanned.

    An index of another endpoint, organization or project is halted until somebody accepts it.
    """
    random = random or randomness.Random()  # noqa: S311 - jitter and nonces, no secrets

    def prepare(db: sqlite3.Connection) -> dict[int, Any]:
        custody.verify(db, state_directory)
        halt_elsewhere(db, settings)
        now = clock.wall()
        intents.give_up_all(db, now=now)
        intents.prune(db, now=now)
        return enlist(db, folders, now=now)

    try:
        mirrors = writer.submit(prepare).result()
    except Held:
        # Not the file that it was: until an audit has passed, nothing of it is to be believed, by readers too.
        writer.submit(trust.distrust).result()
        raise
    progress = Progress()
    surveyor = Surveyor(os.path.join(state_directory, FILE_NAME), writer, clock.wall)
    lookout = Lookout(
        surveyor, mirrors, writer=writer, workers=workers, clock=clock, random=random, log=log
    )
    readings = Readings(
        mirrors,
        lookout,
        writer=writer,
        workers=workers,
        clock=clock,
        progress=progress,
        log=log,
        multipart=True,
    )
    departures = Departures(
        mirrors,
        lookout,
        writer=writer,
        workers=workers,
        clock=clock,
        log=log,
        scan_for_deletes=scan_for_deletes,
    )
    liaison = Liaison(
        connect,
        settings,
        mirrors,
        writer=writer,
        workers=workers,
        room=Room(lambda: backups.no_room(state_directory), workers=workers, clock=clock, log=log),
        clock=clock,
        random=random,
        progress=progress,
        log=log,
    )
    writer.submit(liaison.recollect).result()
    engine = Engine(
        mirrors=mirrors,
        lookout=lookout,
        readings=readings,
        departures=departures,
        liaison=liaison,
        writer=writer,
        clock=clock,
        progress=progress,
        log=log,
    )
    return Assembly(engine, writer, workers)


def connector(
    settings: RemoteSettings, *, clock: Clock, workers: Workers, log: Log, environ: Any
) -> Callable[[], tuple[Remote, Pace]]:
    """Return what connects to the configured API; it asks for the key only then, and has logs hide it."""

    def connect() -> tuple[Remote, Pace]:
        from fileferry.config.credentials import api_key
        from fileferry.remote import openai
        from fileferry.remote.bandwidth import Throttle
        from fileferry.remote.pacing import Pace

        key = api_key(environ)
        secret = key.secret.reveal()
        log.hide(secret)
        for warning in key.warnings:
            log.warning("key", detail=warning)
        jitter = randomness.Random()  # noqa: S311
        pace = Pace(
            clock,
            uploads_per_minute=settings.uploads_per_minute,
            concurrency=settings.concurrency,
            delay=lambda failures: backoff.delay_seconds(failures, jitter.random()),
            throttle=Throttle(clock, settings.bandwidth_bytes_per_second),
        )
        remote = openai.connect(
            api_key=secret,
            base_url=settings.base_url,
            organization=settings.organization,
            project=settings.project,
            clock=clock,
            offload=workers.run,
            throttle=pace.throttle,
            on_limit=pace.rest,
        )
        return remote, pace

    return connect
