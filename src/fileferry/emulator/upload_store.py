"""Keeps uploads in parts: their rows beside those of the files, the bytes of parts in a directory."""

from dataclasses import astuple, dataclass
from pathlib import Path

from .spool import Spooled
from .store import FileStore

__all__ = ["PartRecord", "UploadRecord", "UploadStore"]

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
        """Record a new upload, and let go of the parts of those whose time is over."""
        over = self._db.execute(
            "SELECT id FROM uploads WHERE expires_at <= ? AND EXISTS"
            " (SELECT 1 FROM upload_parts WHERE upload_id = uploads.id)",
            (upload.created_at,),
        ).fetchall()
        for (upload_id,) in over:
            self.drop_parts(upload_id)
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
