"""Keeps files: what is known of them in SQLite, their bytes in a directory.

A file whose answer was sent survives `kill -9`: its bytes are written under a temporary name, then
renamed, then recorded. Without a directory of its own it keeps the table in memory and the bytes in
a temporary directory that goes with it. One connection, used from the event loop: a row costs less
than a thread. It must not know about HTTP.
"""

import shutil
import sqlite3
import tempfile
import weakref
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from . import blobs
from .records import FileRecord, Staleness
from .spool import Spooled

__all__ = ["DataDirectoryBusyError", "FileStore"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    project TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    stored_at REAL NOT NULL,
    deleted_at REAL
) STRICT;
CREATE INDEX IF NOT EXISTS files_by_age ON files (project, created_at, seq);
"""
_COLUMNS = (
    "seq, id, project, filename, purpose, bytes, sha256, created_at, expires_at, stored_at,"
    " deleted_at"
)
_INSERT = f"INSERT INTO files ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants

# `dataclasses.astuple` copies deeply, which costs more than the insert.
_VALUES = attrgetter(*_COLUMNS.split(", ")[1:])


class DataDirectoryBusyError(ValueError):
    """Another emulator uses this data directory."""


class FileStore:
    """All files of all projects.

    Args:
        data: Where to keep them; None for a temporary place.
    """

    def __init__(self, data: Path | None = None) -> None:
        self._is_temporary = data is None
        directory = Path(tempfile.mkdtemp(prefix="emulator-")) if data is None else data
        self.blobs = directory / "blobs"
        self.incoming = directory / "incoming"
        self.parts = directory / "parts"
        for place in (directory, self.blobs, self.incoming, self.parts):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.db = self._open(":memory:" if data is None else str(directory / "files.db"))
        self._next_incoming = 0
        self._release = weakref.finalize(
            self, _release, self.db, directory if data is None else None
        )
        if data is not None:
            self._sweep()

    def close(self) -> None:
        """Close the table, and remove what was temporary."""
        self._release()

    def incoming_path(self) -> Path:
        """Return a fresh name for bytes that are still arriving."""
        self._next_incoming += 1
        return self.incoming / str(self._next_incoming)

    def blob_path(self, file_id: str) -> Path:
        """Return where the bytes of a file are."""
        return self.blobs / file_id

    def create(self, record: FileRecord, body: Spooled) -> FileRecord:
        """Store the bytes, then the record; return it with its place in the order."""
        target = self.blob_path(record.id)
        arrived = body.path
        if body.content is not None:
            # A temporary store dies with its process, so a half-written blob can hurt nobody.
            arrived = target if self._is_temporary else self.incoming_path()
            with arrived.open("wb", buffering=0) as blob:
                blob.write(body.content)
        if arrived is not None and arrived != target:
            arrived.rename(target)
        cursor = self.db.execute(_INSERT, _VALUES(record))
        if cursor.lastrowid is None:
            raise sqlite3.InternalError("an insert gave no row id")
        return replace(record, seq=cursor.lastrowid)

    def find(self, file_id: str, project: str) -> FileRecord | None:
        """Return a file of the project, dead or alive; another project's is not there."""
        row = self.db.execute(
            f"SELECT {_COLUMNS} FROM files WHERE id = ? AND project = ?",  # noqa: S608 - constants
            (file_id, project),
        ).fetchone()
        return None if row is None else FileRecord(*row)

    def page(
        self,
        project: str,
        *,
        now: float,
        limit: int,
        is_descending: bool,
        purpose: str | None = None,
        after: FileRecord | None = None,
        lag: Staleness | None = None,
    ) -> list[FileRecord]:
        """Return up to `limit` living files, by `created_at`, then by arrival."""
        lag = lag or Staleness()
        conditions = ["project = ?", "(expires_at IS NULL OR expires_at > ?)"]
        values: list[str | float] = [project, now]
        if lag.show_deleted:
            conditions.append("(deleted_at IS NULL OR deleted_at > ?)")
            values.append(now - lag.show_deleted)
        else:
            conditions.append("deleted_at IS NULL")
        if lag.hide_younger:
            conditions.append("stored_at <= ?")
            values.append(now - lag.hide_younger)
        if purpose is not None:
            conditions.append("purpose = ?")
            values.append(purpose)
        if after is not None:
            conditions.append(f"(created_at, seq) {'<' if is_descending else '>'} (?, ?)")
            values += [after.created_at, after.seq]
        way = "DESC" if is_descending else "ASC"
        rows = self.db.execute(
            f"SELECT {_COLUMNS} FROM files WHERE {' AND '.join(conditions)}"  # noqa: S608 - constants
            f" ORDER BY created_at {way}, seq {way} LIMIT ?",
            (*values, limit),
        )
        return [FileRecord(*row) for row in rows]

    def delete(self, file_id: str, now: float) -> None:
        """Record that the file is gone, then remove its bytes."""
        self.db.execute("UPDATE files SET deleted_at = ? WHERE id = ?", (now, file_id))
        blobs.remove(self.blob_path(file_id))

    def history(self) -> list[FileRecord]:
        """Return every file that was ever stored, in order of arrival."""
        rows = self.db.execute(f"SELECT {_COLUMNS} FROM files ORDER BY seq")  # noqa: S608 - constants
        return [FileRecord(*row) for row in rows]

    def _open(self, name: str) -> sqlite3.Connection:
        # Shared with the thread that closes it; every use is on the event loop's thread.
        db = sqlite3.connect(name, isolation_level=None, timeout=0.5, check_same_thread=False)
        try:
            # Exclusive: two servers on one directory would not see each other's files, and
            # WAL needs no shared memory then. A killed process leaves no lock behind.
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {'OFF' if self._is_temporary else 'NORMAL'}")
            db.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            db.close()
            if "locked" in str(error):
                raise DataDirectoryBusyError(f"`{name}` is in use by another emulator") from error
            raise
        return db

    def _sweep(self) -> None:
        # What a killed process left: bodies half received, and blobs that were never recorded.
        for leftover in self.incoming.iterdir():
            blobs.remove(leftover)
        known = {row[0] for row in self.db.execute("SELECT id FROM files WHERE deleted_at IS NULL")}
        for blob in self.blobs.iterdir():
            if blob.name not in known:
                blobs.remove(blob)


def _release(db: sqlite3.Connection, temporary: Path | None) -> None:
    db.close()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
