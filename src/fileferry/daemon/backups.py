"""Copies of the index that survive it, and a log of it that stays small.

Two rotated copies, `index.db.copy-1` and `-2`, made by SQLite in one read transaction beside whatever goes on: a day
after the last one, or when a good part of the index has changed since. Only where there is room for it: an index that
cannot grow is worse than one that cannot be restored.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from contextlib import closing

from fileferry.errors import FerryError, IndexDamaged, IndexUnwritable
from fileferry.index.connection import check, open_reader
from fileferry.index.identity import APPLICATION_ID, FILE_NAME, SCHEMA_VERSION
from fileferry.index.mark import CHANGES, MARK_NAME

COPY_NAMES = (f"{FILE_NAME}.copy-1", f"{FILE_NAME}.copy-2")
LEAST_FREE_BYTES = 16 * 1024**2
ROOM_FOR_WORK_BYTES = 64 * 1024**2
LONG_LOG_BYTES = 4 * 1024**2
COPY_AFTER_SECONDS = 86_400.0
COPY_SPACING_SECONDS = 600.0
MANY_CHANGES = 1_000
CHECKPOINT_BUSY_MS = 200


def require_index(state_directory: str) -> None:
    """Check that an index which was there is there: an empty one in its place would send everything again.

    Raises:
        IndexDamaged: it is gone, or empty, and what fileferry left beside it says that it was there.
    """
    path = os.path.join(state_directory, FILE_NAME)
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > 0 or os.path.exists(path + "-wal"):
            return
    beside = (*COPY_NAMES, MARK_NAME)
    if any(os.path.exists(os.path.join(state_directory, name)) for name in beside):
        raise IndexDamaged(
            f"index `{path}` is gone, or empty",
            hint=f"`fileferry rebuild` restores it, or makes one; to begin anew, delete all of `{FILE_NAME}*`",
        )


def no_room(state_directory: str) -> FerryError | None:
    """Return why nothing may be sent, because its id might not be written down; or None."""
    try:
        status = os.statvfs(state_directory)
    except OSError:
        return None  # what is wrong there will be said by whoever writes
    free = status.f_bavail * status.f_frsize
    if free >= LEAST_FREE_BYTES:
        return None
    return IndexUnwritable(
        f"the disk of `{state_directory}` has {free // 1024:,} KiB left: nothing is sent",
        hint=f"free at least {LEAST_FREE_BYTES // 1024**2} MiB there; work goes on by itself",
    )


def is_copy_due(state_directory: str, now: float) -> bool:
    """Say whether the index has anything that the newest copy has not, and that copy is old enough. Blocks."""
    newest = os.path.join(state_directory, COPY_NAMES[0])
    try:
        age = now - os.stat(newest).st_mtime
    except FileNotFoundError:
        age = float("inf")
    if 0 <= age < COPY_SPACING_SECONDS:
        return False
    logged, files = _extent(os.path.join(state_directory, FILE_NAME))
    if not files:
        return False
    if age == float("inf"):
        return True
    with contextlib.suppress(sqlite3.Error):
        before, _ = _extent(newest)
        fresh = logged - before
        return fresh > max(MANY_CHANGES, files // 10) or not 0 <= age < COPY_AFTER_SECONDS
    return True  # a copy that cannot be read is none


def make_copy(state_directory: str) -> str | None:
    """Make a new copy and rotate the others; return its path, or None where there is no room. Blocks.

    Raises:
        sqlite3.Error: the index could not be read, or the copy not be written; the others are as they were.
    """
    original = os.path.join(state_directory, FILE_NAME)
    free = os.statvfs(state_directory)
    size = os.stat(original).st_size + _size(original + "-wal")
    if free.f_bavail * free.f_frsize < size + ROOM_FOR_WORK_BYTES:
        return None
    first, second = (os.path.join(state_directory, name) for name in COPY_NAMES)
    fresh = first + "-new"
    status = os.stat(original)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with closing(open_reader(original)) as source:
            source.execute("PRAGMA query_only = OFF")  # of the copy; the index is opened read-only
            source.execute("VACUUM INTO ?", (fresh,))
        os.fchmod(descriptor, status.st_mode & 0o777)
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, -1, status.st_gid)
        os.fsync(descriptor)
        if os.path.exists(first):
            os.replace(first, second)
        os.replace(fresh, first)
        sync_directory(state_directory)
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
    return first


def good_copy(state_directory: str) -> str | None:
    """Return the newest copy that passes SQLite's check, or None. Blocks."""
    found = [os.path.join(state_directory, name) for name in COPY_NAMES]
    for path in sorted(filter(os.path.exists, found), key=os.path.getmtime, reverse=True):
        with contextlib.suppress(sqlite3.Error, IndexDamaged), closing(open_reader(path)) as db:
            identity = db.execute("PRAGMA application_id").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if identity == APPLICATION_ID and 0 < version <= SCHEMA_VERSION:
                check(db, path)
                return path
    return None


def shorten_log(state_directory: str) -> int:
    """Write a long log back into the index and cut it off, unless readers still need it; return its bytes after.

    Blocks, for a moment: a reader that is there is not waited for.
    """
    path = os.path.join(state_directory, FILE_NAME)
    if _size(path + "-wal") > LONG_LOG_BYTES:
        with (
            contextlib.suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as db,
        ):
            db.execute(f"PRAGMA busy_timeout = {CHECKPOINT_BUSY_MS}")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return _size(path + "-wal")


def put_in_place(fresh: str, state_directory: str, now: float) -> str | None:
    """Have a new index take the place of the old one, which is set aside; return its new path, if there was one.

    A kill at any point leaves an index there: the old one, or the new one. The old one's log must not be found beside
    the new one, where SQLite would take it for its own.
    """
    path = os.path.join(state_directory, FILE_NAME)
    aside = None
    if os.path.exists(path):
        aside = _unused(f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}")
        os.link(path, aside)
        for ending in ("-wal", "-shm", "-journal"):
            if os.path.exists(path + ending):
                os.replace(path + ending, aside + ending)
    os.replace(fresh, path)
    sync_directory(state_directory)
    return aside


def _unused(path: str) -> str:
    number, free = 1, path
    while os.path.exists(free):
        number += 1
        free = f"{path}-{number}"
    return free


def sync_directory(path: str) -> None:
    """Have renames in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def changes(db: sqlite3.Connection) -> int:
    """Return how many changes an index has ever logged."""
    return int(db.execute(f"SELECT {CHANGES}").fetchone()[0])


def _extent(path: str) -> tuple[int, int]:
    """Return how many changes an index has logged, and how many remote files it knows."""
    with closing(open_reader(path)) as db:
        files = db.execute("SELECT count(*) FROM remote").fetchone()[0]
        return changes(db), int(files)
