"""What is usually wrong around an index: where it lies, who may read it, whether it is whole, what it waits for."""

from __future__ import annotations

import glob
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from fileferry.clock import rfc3339
from fileferry.daemon import backups, custody
from fileferry.daemon.enlist import HALT_KEY
from fileferry.errors import FerryError
from fileferry.index import folders, holds
from fileferry.index.connection import check, open_reader
from fileferry.index.identity import FILE_NAME, UNAUDITED_KEY
from fileferry.index.reader import Reader
from fileferry.local.watch_coverage import file_system_type

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET_NAME = "control.sock"
SOME_FREE_BYTES = 256 * 1024**2
LONG_LOG_BYTES = 64 * 1024**2
_FORGETFUL = frozenset({"tmpfs", "ramfs"})


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of `doctor`."""

    level: Level
    what: str
    detail: str
    hint: str | None = None


def ok(what: str, detail: str) -> Diagnosis:
    """Return a line about something that is as it should be."""
    return Diagnosis(Level.OK, what, detail)


def warn(what: str, detail: str, hint: str | None = None) -> Diagnosis:
    """Return a line about something that somebody may want to change."""
    return Diagnosis(Level.WARN, what, detail, hint)


def fail(what: str, detail: str, hint: str | None = None) -> Diagnosis:
    """Return a line about something that keeps fileferry from working."""
    return Diagnosis(Level.FAIL, what, detail, hint)


def failure(what: str, error: FerryError) -> Diagnosis:
    """Return a line about an error."""
    return fail(what, error.message, error.hint)


def state(directory: str, group: str) -> Iterator[Diagnosis]:
    """Look at the state directory: its file system, its room, who may read it."""
    place = directory
    while not os.path.exists(place):
        place = os.path.dirname(place)
    try:
        custody.refuse_network(place)
    except FerryError as error:
        yield failure("state file system", error)
    else:
        kind = file_system_type(os.fsencode(place)) or "unknown"
        if kind in _FORGETFUL:
            yield warn(
                "state file system",
                f"`{directory}` is on {kind}, and lost when the machine stops",
                "set [state] directory to a disk",
            )
        else:
            yield ok("state file system", f"`{directory}` is on {kind}")
    yield _room(place)
    if place != directory:
        if os.access(place, os.W_OK | os.X_OK):
            yield ok("state directory", f"`{directory}` will be made")
        else:
            yield fail("state directory", f"`{directory}` cannot be made in `{place}`")
        return
    yield from _permissions(directory, group)


def index(directory: str) -> Iterator[Diagnosis]:
    """Look at the index: integrity, log, copies, and what it waits for."""
    path = os.path.join(directory, FILE_NAME)
    if not os.path.exists(path):
        try:
            backups.require_index(directory)
        except FerryError as error:
            yield failure("index", error)
        else:
            yield ok("index", f"`{path}` is not made yet")
        return
    try:
        Reader(directory).close()
        with closing(open_reader(path)) as db:
            check(db, path)
            yield ok("index", f"`{path}` is whole ({os.stat(path).st_size:,} bytes)")
            yield from _log_and_copies(directory)
            yield from _waits(db, directory)
    except FerryError as error:
        yield failure("index", error)
    except (OSError, sqlite3.Error) as error:
        yield fail("index", f"`{path}`: {error}", "`fileferry rebuild` if it is damaged")


def _room(place: str) -> Diagnosis:
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    detail = f"{free // 1024**2:,} MiB free for the state"
    if free < backups.LEAST_FREE_BYTES:
        return fail("disk space", detail, "below 16 MiB nothing is sent: free some")
    if free < SOME_FREE_BYTES:
        return warn("disk space", detail, "below 16 MiB nothing is sent")
    return ok("disk space", detail)


def _permissions(directory: str, group: str) -> Iterator[Diagnosis]:
    status = os.stat(directory)
    mode = stat.S_IMODE(status.st_mode)
    if not os.access(directory, os.W_OK | os.X_OK):
        yield warn(
            "state directory",
            f"`{directory}` is not writable for this user",
            "run `doctor` as the user that mirrors",
        )
    elif mode & (0o007 if group else 0o077):
        yield warn(
            "state directory",
            f"`{directory}` has mode {mode:04o}",
            f"`chmod {'750' if group else '700'}`; the next start does it",
        )
    else:
        yield ok("state directory", f"`{directory}` has mode {mode:04o}")
    if group:
        import grp

        try:
            grp.getgrnam(group)
        except KeyError:
            yield fail("state group", f"group `{group}` does not exist", f"`groupadd {group}`")
        else:
            yield ok("state group", f"`{group}` may read the index")
    socket = os.path.join(directory, SOCKET_NAME)
    if os.path.exists(socket):
        mode = stat.S_IMODE(os.stat(socket).st_mode)
        if mode & 0o077:
            yield fail("control socket", f"`{socket}` has mode {mode:04o}", "`chmod 600`")
        else:
            yield ok("control socket", f"`{socket}` is for its owner alone")


def _log_and_copies(directory: str) -> Iterator[Diagnosis]:
    path = os.path.join(directory, FILE_NAME)
    log = os.stat(path + "-wal").st_size if os.path.exists(path + "-wal") else 0
    if log > LONG_LOG_BYTES:
        yield warn(
            "index log",
            f"{log // 1024**2:,} MiB: some program reads the index without an end",
            f"`fuser {path}` names it",
        )
    copy = backups.good_copy(directory)
    if copy is not None:
        yield ok("index copy", f"`{copy}` of {rfc3339(os.stat(copy).st_mtime)}")
    elif any(os.path.exists(os.path.join(directory, name)) for name in backups.COPY_NAMES):
        yield warn("index copy", "no copy of the index is good", "the daemon makes another one")
    aside = glob.glob(glob.escape(path) + ".damaged-*")
    aside = [one for one in aside if not one.endswith(("-wal", "-shm"))]
    if aside:
        yield warn("set aside", f"{', '.join(sorted(aside))}", "delete it when nobody needs it")


def _waits(db: sqlite3.Connection, directory: str) -> Iterator[Diagnosis]:
    question = custody.question(db, directory)
    if question is not None:
        yield fail("custody", question, "`fileferry accept index` if it was meant")
    if folders.meta(db, UNAUDITED_KEY) is not None:
        yield warn(
            "audit",
            "the index was restored or moved: `id` answers after an audit",
            "`fileferry sync`",
        )
    halt = folders.meta(db, HALT_KEY)
    if halt is not None:
        yield fail("halt", f"remote: {halt}", "`fileferry accept remote` if it was meant")
    for row in folders.all_rows(db):
        if row.halt and row.attachment == "active":
            yield fail("halt", f"folder `{row.name}`: {row.halt}", "`fileferry status` says more")
        if row.attachment == "detached":
            yield warn(
                "folder",
                f"`{row.name}` left the configuration",
                f"`fileferry forget {row.name}` ends it",
            )
    for hold in holds.undecided(db):
        yield warn(
            "hold",
            f"{hold.name}: {hold.files:,} {hold.kind}s of `{hold.folder}` wait: {hold.reason}",
            f"`fileferry approve {hold.name}` or `fileferry discard {hold.name}`",
        )
