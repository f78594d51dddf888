"""Opening the index for writing: identity, integrity, journal mode. Whoever writes holds the state lock already."""

from __future__ import annotations

import contextlib
import os
import sqlite3

from fileferry.errors import IndexDamaged, IndexUnwritable
from fileferry.index.identity import APPLICATION_ID, SCHEMA_VERSION

BUSY_SECONDS = 10.0
_PASSING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
    }
)


def open_writer(path: str, *, verify: bool = False) -> sqlite3.Connection:
    """Open the index at `path` for writing, making and migrating it as needed.

    The connection is in autocommit mode: transactions are the writer's. It enters WAL mode, so that readers
    never wait, and synchronous=FULL, so that no remote file is deleted on the word of a lost commit.

    Args:
        path: of the file.
        verify: have SQLite check every page before anything is written.

    Raises:
        IndexDamaged: the file is not an index of ours, is newer than this release, or fails SQLite's check.
    """
    if os.path.isdir(path):
        raise IndexDamaged(
            f"`{path}` is a directory, where the index has to be a file",
            hint="move it away; if an index was there, `fileferry rebuild` makes a new one",
        )
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _identify(connection, path)
        if verify:
            check(connection, path)
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
        if is_passing(error):
            raise unwritable(error) from error
        raise _damaged(path, str(error)) from error
    except BaseException:  # an interrupt, too, must not leave it open
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
    with contextlib.suppress(sqlite3.DatabaseError):
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


def is_passing(error: sqlite3.Error) -> bool:
    """Say whether an error is about where the index lies, not about what is in it: the same may work later."""
    return (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF) in _PASSING


def unwritable(error: sqlite3.Error) -> IndexUnwritable:
    """Return what to say when the index takes nothing now."""
    return IndexUnwritable(
        f"the index cannot be written: {error}",
        hint="free space on the disk of [state] directory, or end what locks it; work goes on by itself",
    )


def is_corruption(error: sqlite3.Error) -> bool:
    """Say whether an error is about what is in the index: pages that cannot be right."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def damaged(connection: sqlite3.Connection, error: sqlite3.Error) -> IndexDamaged:
    """Return what to say when SQLite found damage while it worked."""
    path = str(connection.execute("PRAGMA database_list").fetchone()[2])
    return _damaged(path, str(error))


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
