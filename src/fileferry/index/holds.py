"""Holds: sets of paths that a guard keeps from being acted on, until somebody decides. They survive restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Hold:
    """A set that waits for `approve` or `discard`. `made_at` is in wall seconds."""

    hold_id: int
    folder: str
    kind: str
    made_at: float
    files: int
    size: int
    reason: str

    @property
    def name(self) -> str:
        """Return what a person types: `D7` for deletes, `U7` for uploads."""
        return f"{self.kind[0].upper()}{self.hold_id}"


_OPEN = (
    "SELECT hold.id, folder.name, hold.kind, hold.made_at,"
    " (SELECT count(*) FROM entry WHERE entry.hold_id = hold.id), hold.bytes, hold.reason"
    " FROM hold JOIN folder ON folder.id = hold.folder_id WHERE hold.decision IS NULL"
)


def undecided(db: sqlite3.Connection) -> list[Hold]:
    """Return the holds that still hold something."""
    return [hold for hold in (Hold(*row) for row in db.execute(_OPEN)) if hold.files]


def hold_deletes(
    db: sqlite3.Connection, folder_id: int, paths: list[bytes], *, reason: str, now: float
) -> str:
    """Hold back the going of these paths; their ids stay as they are. Return the hold's name."""
    hold_id = _make(db, folder_id, "delete", files=len(paths), size=0, reason=reason, now=now)
    db.executemany(
        "UPDATE entry SET hold_id = ?, state = CASE WHEN held_id IS NULL THEN state ELSE 'stale' END, error = ?"
        " WHERE folder_id = ? AND path = ? AND absent = 1",
        [
            (hold_id, f"gone from disk; its delete is held (D{hold_id})", folder_id, path)
            for path in paths
        ],
    )
    return f"D{hold_id}"


def hold_uploads(
    db: sqlite3.Connection, folder_id: int, *, files: int, size: int, reason: str, now: float
) -> str:
    """Hold back everything of a folder that is due to be read and sent. Return the hold's name."""
    hold_id = _make(db, folder_id, "upload", files=files, size=size, reason=reason, now=now)
    db.execute(
        "UPDATE entry SET hold_id = ?, error = ? WHERE folder_id = ? AND due_at IS NOT NULL AND absent = 0",
        (hold_id, f"its upload is held (U{hold_id})", folder_id),
    )
    return f"U{hold_id}"


def waiting_uploads(db: sqlite3.Connection, folder_id: int) -> tuple[int, int]:
    """Return how many files of a folder are due to be read, and their bytes."""
    row = db.execute(
        "SELECT count(*), COALESCE(sum(size), 0) FROM entry WHERE folder_id = ? AND due_at IS NOT NULL"
        " AND absent = 0 AND approved = 0 AND hold_id IS NULL",
        (folder_id,),
    ).fetchone()
    return int(row[0]), int(row[1])


def approve(db: sqlite3.Connection, hold_id: int, *, now: float) -> int:
    """Release exactly what a hold holds; return how many paths."""
    released = db.execute(
        "UPDATE entry SET hold_id = NULL, approved = 1, error = NULL,"
        " due_at = CASE WHEN absent THEN NULL ELSE ?2 END WHERE hold_id = ?1",
        (hold_id, now),
    ).rowcount
    _decide(db, hold_id, "approved", now=now)
    return int(released)


def discard(db: sqlite3.Connection, hold_id: int, *, now: float) -> int:
    """Keep what a hold holds as it is, for good: remote files stay, files that were not sent are not."""
    kept = db.execute(
        "UPDATE entry SET hold_id = NULL, due_at = NULL, error = NULL, state = 'kept' WHERE hold_id = ?",
        (hold_id,),
    ).rowcount
    _decide(db, hold_id, "discarded", now=now)
    return int(kept)


def _make(
    db: sqlite3.Connection,
    folder_id: int,
    kind: str,
    *,
    files: int,
    size: int,
    reason: str,
    now: float,
) -> int:
    row = db.execute(
        "INSERT INTO hold (folder_id, kind, made_at, files, bytes, reason) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        (folder_id, kind, now, files, size, reason),
    ).fetchone()
    return int(row[0])


def _decide(db: sqlite3.Connection, hold_id: int, decision: str, *, now: float) -> None:
    db.execute(
        "UPDATE hold SET decision = ?, decided_at = ? WHERE id = ?", (decision, now, hold_id)
    )
