"""Opening the index for writing: identity, integrity, journal mode. Whoever writes holds the state lock already."""

from __future__ import annotations

import contextlib
import os
import sqlite3

from fileferry.errors import IndexDamaged
from fileferry.index.identity import APPLICATION_ID, SCHEMA_VERSION

BUSY_SECONDS = 10.0


def open_writer(path: str) -> sqlite3.Connection:
    """Open the index at `path` for writing, making and migrating it as needed.

    The connection is in autocommit mode: transactions are the writer's. It enters WAL mode, so that readers
    never wait, and synchronous=FULL, so that no remote file is deleted on the word of a lost commit.

    Raises:
        IndexDamaged: the file is not an index of ours, is newer than this release, or fails SQLite's check.
    """
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _identify(connection, path)
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute("PRAGMA cache_size = -8000")
        if _user_version(connection) < SCHEMA_VERSION:
            from fileferry.index.schema import migrate

            migrate(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if "locked" in str(error):
            raise IndexDamaged(
                f"index `{path}` is locked by another program",
                hint="find who writes to it (`fuser`), end that, and start again",
            ) from error
        raise _damaged(path, str(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: str) -> sqlite3.Connection:
    """Open the index for reading only, beside a writer or without one."""
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode=ro",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def close_writer(connection: sqlite3.Connection) -> None:
    """Close, leaving WAL mode when nobody else reads: other users cannot open a cold WAL index."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    connection.close()


def check(connection: sqlite3.Connection, path: str) -> None:
    """Let SQLite check every page.

    Raises:
        IndexDamaged: it found something.
    """
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error
    if verdict != "ok":
        raise _damaged(path, str(verdict))


def _identify(connection: sqlite3.Connection, path: str) -> None:
    identity = connection.execute("PRAGMA application_id").fetchone()[0]
    version = _user_version(connection)
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if identity != APPLICATION_ID and not (empty and identity == 0):
        raise IndexDamaged(
            f"`{path}` is a SQLite file, but no index of fileferry",
            hint="choose another [state] directory, or move the file away",
        )
    if version > SCHEMA_VERSION:
        raise IndexDamaged(
            f"index `{path}` was made by a newer fileferry (schema {version}, this one knows {SCHEMA_VERSION})",
            hint="install the newer fileferry again; an index never goes back",
        )


def _user_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _damaged(path: str, detail: str) -> IndexDamaged:
    return IndexDamaged(
        f"index `{path}` is damaged: {detail}",
        hint="`fileferry rebuild` makes a new one and sends again only what cannot be matched",
    )


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(os.path.abspath(path)))
