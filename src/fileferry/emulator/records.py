"""What the emulator remembers of a file, and how the API shows it."""

from dataclasses import dataclass

__all__ = ["FileRecord", "Staleness"]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file that was stored, whether it still lives or not.

    `stored_at` and `deleted_at` are exact moments of the server's clock; `created_at` is what the
    API shows, in whole seconds. `seq` is the order of arrival.
    """

    seq: int
    id: str
    project: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    created_at: int
    expires_at: int | None
    stored_at: float
    deleted_at: float | None

    def lives(self, now: float) -> bool:
        """Say whether the file is neither deleted nor past its expiry."""
        return self.deleted_at is None and not self.is_expired(now)

    def is_expired(self, now: float) -> bool:
        """Say whether `now` is past the file's expiry."""
        return self.expires_at is not None and self.expires_at <= now

    def as_object(self, *, null_bytes: bool = False) -> dict[str, str | int | None]:
        """Return the FileObject of the API, every field present."""
        return {
            "object": "file",
            "id": self.id,
            "purpose": self.purpose,
            "filename": self.filename,
            "bytes": None if null_bytes else self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "status": "processed",
            "status_details": None,
        }


@dataclass(frozen=True, slots=True)
class Staleness:
    """How far reads lag behind writes, in seconds."""

    hide_younger: float = 0.0
    show_deleted: float = 0.0
