"""Keeps uploads in parts: their rows beside those of the files, the bytes of parts in a directory.

Joining the parts makes one more copy; it is for a thread, and touches no table.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from .spool import Spooled
from .store import FileStore

__all__ = ["PartRecord", "UploadRecord", "UploadStore", "join_parts"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, bytes INTEGER NOT NULL, filename TEXT NOT NULL,
    purpose TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    expires_after INTEGER, status TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS upload_parts (
    id TEXT PRIMARY KEY, upload_id TEXT NOT NULL, bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
"""
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One upload in parts; `status` as stored, so an expired one still says `pending`."""

    id: str
    project: str
    bytes: int
    filename: str
    purpose: str
    created_at: int
    expires_at: int
    expires_after: int | None
    status: str

    def status_at(self, now: float) -> str:
        """Return the status that the API shows."""
        return "expired" if self.status == "pending" and self.expires_at <= now else self.status


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One part that arrived."""

    id: str
    upload_id: str
    bytes: int
    created_at: int


class UploadStore:
    """All uploads of all projects."""

    def __init__(self, files: FileStore) -> None:
        self._db = files.db
        self._directory = files.parts
        self._db.executescript(_SCHEMA)

    def part_path(self, part_id: str) -> Path:
        """Return where the bytes of a part are."""
        return self._directory / part_id

    def create(self, upload: UploadRecord) -> None:
        """Record a new upload."""
        self._db.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(upload))

    def find(self, upload_id: str, project: str) -> UploadRecord | None:
        """Return an upload of the project."""
        row = self._db.execute(
            "SELECT * FROM uploads WHERE id = ? AND project = ?", (upload_id, project)
        ).fetchone()
        return None if row is None else UploadRecord(*row)

    def set_status(self, upload_id: str, status: str) -> None:
        """Record what became of an upload."""
        self._db.execute("UPDATE uploads SET status = ? WHERE id = ?", (status, upload_id))

    def add_part(self, part: PartRecord, body: Spooled) -> None:
        """Store the bytes of a part, then its record."""
        target = self.part_path(part.id)
        if body.path is not None:
            body.path.rename(target)
        else:
            target.write_bytes(body.content or b"")
        self._db.execute("INSERT INTO upload_parts VALUES (?, ?, ?, ?)", astuple(part))

    def parts(self, upload_id: str) -> dict[str, PartRecord]:
        """Return the parts of an upload by their ids."""
        rows = self._db.execute("SELECT * FROM upload_parts WHERE upload_id = ?", (upload_id,))
        return {row[0]: PartRecord(*row) for row in rows}

    def drop_parts(self, upload_id: str) -> None:
        """Remove the parts of an upload that is over."""
        for part_id in self.parts(upload_id):
            self.part_path(part_id).unlink(missing_ok=True)
        self._db.execute("DELETE FROM upload_parts WHERE upload_id = ?", (upload_id,))


def join_parts(paths: list[Path], target: Path) -> tuple[Spooled, str]:
    """Write the parts one after another; return the whole and its MD5 in hex."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    # Both digests at once: they take most of the time, and neither holds the interpreter.
    with target.open("xb", buffering=0) as whole, ThreadPoolExecutor(1) as beside:
        for path in paths:
            with path.open("rb", buffering=0) as part:
                while chunk := part.read(_COPY_BYTES):
                    summing = beside.submit(md5.update, chunk)
                    sha256.update(chunk)
                    size += whole.write(chunk)
                    summing.result()
    return Spooled(size, sha256.hexdigest(), None, target), md5.hexdigest()
