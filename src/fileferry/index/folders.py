"""The rows of `folder`, and the pins of `meta`: which folders, which remote, which machine this index is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = "id, name, root, attachment, policy, ignore_rules, contact, identity, halt, scan_began_at, scan_ended_at"


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder as the index knows it. Times are wall seconds."""

    folder_id: int
    name: str
    root: bytes
    attachment: str
    policy: str
    ignore_rules: str
    contact: str
    identity: str | None
    halt: str | None
    scan_began_at: float | None
    scan_ended_at: float | None


def all_rows(db: sqlite3.Connection) -> list[FolderRow]:
    """Return every folder that the index knows, detached ones too."""
    return [FolderRow(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM folder ORDER BY id")]  # noqa: S608


def add(db: sqlite3.Connection, *, name: str, root: bytes) -> int:
    """Make a row for a folder and return its id; a detached one that holds the name makes room for it."""
    db.execute(
        "UPDATE folder SET name = name || '~' || id WHERE name = ? AND root <> ?", (name, root)
    )
    cursor = db.execute("INSERT INTO folder (name, root) VALUES (?, ?) RETURNING id", (name, root))
    return int(cursor.fetchone()[0])


def attach(db: sqlite3.Connection, folder_id: int, *, name: str) -> None:
    """Take a folder up again, under this name."""
    db.execute(
        "UPDATE folder SET name = name || '~' || id WHERE name = ? AND id <> ?", (name, folder_id)
    )
    db.execute("UPDATE folder SET name = ?, attachment = 'active' WHERE id = ?", (name, folder_id))


def detach(db: sqlite3.Connection, folder_id: int) -> None:
    """Leave a folder alone from now on: not scanned, not renewed, nothing deleted."""
    db.execute("UPDATE folder SET attachment = 'detached' WHERE id = ?", (folder_id,))


def set_delays(
    db: sqlite3.Connection, folder_id: int, *, retire_seconds: float, delete_seconds: float
) -> None:
    """Note how long the ids of a folder outlive their path or their bytes."""
    db.execute(
        "UPDATE folder SET retire_seconds = ?, delete_seconds = ? WHERE id = ?",
        (retire_seconds, delete_seconds, folder_id),
    )


def set_rules(db: sqlite3.Connection, folder_id: int, *, policy: str, ignore_rules: str) -> None:
    """Note the rules that a folder is now planned by; changed rules have to pass the upload budget again."""
    db.execute(
        "UPDATE folder SET policy = ?, ignore_rules = ?, contact = 'new' WHERE id = ?",
        (policy, ignore_rules, folder_id),
    )


def set_contact(db: sqlite3.Connection, folder_id: int) -> None:
    """Note that the upload budget was judged for what is there now."""
    db.execute("UPDATE folder SET contact = 'judged' WHERE id = ?", (folder_id,))


def set_identity(db: sqlite3.Connection, folder_id: int, identity: str | None) -> None:
    """Pin how the root is recognised, or unpin it (JSON, see `local.root`)."""
    db.execute("UPDATE folder SET identity = ? WHERE id = ?", (identity, folder_id))


def set_halt(db: sqlite3.Connection, folder_id: int, halt: str | None) -> None:
    """Note why nothing is scanned or deleted in a folder, or that it may go on."""
    db.execute("UPDATE folder SET halt = ? WHERE id = ?", (halt, folder_id))


def scanned(db: sqlite3.Connection, folder_id: int, *, began_at: float, ended_at: float) -> None:
    """Note that a whole scan, its root proven, went through (wall seconds)."""
    db.execute(
        "UPDATE folder SET scan_began_at = ?, scan_ended_at = ? WHERE id = ?",
        (began_at, ended_at, folder_id),
    )


def plan_anew(db: sqlite3.Connection, folder_id: int, *, now: float) -> None:
    """Have every entry of a folder looked at again: its purpose or name may be another one now."""
    db.execute(
        "UPDATE entry SET due_at = ? WHERE folder_id = ? AND absent = 0 AND state NOT IN ('ignored', 'kept')",
        (now, folder_id),
    )


def move_entries(db: sqlite3.Connection, *, source_id: int, target_id: int, prefix: bytes) -> int:
    """Hand the entries below `prefix` (with its slash) to a folder that owns that subtree now; nothing is deleted."""
    cursor = db.execute(
        "UPDATE OR IGNORE entry SET folder_id = ?, path = CAST(substr(path, ?) AS BLOB), path_text = NULL"
        " WHERE folder_id = ? AND path >= ? AND path < ?",
        (target_id, len(prefix) + 1, source_id, prefix, prefix[:-1] + b"0"),
    )
    return cursor.rowcount


def forget(db: sqlite3.Connection, folder_id: int) -> None:
    """Drop a folder and its entries. What their contents leave behind is the caller's to retire first."""
    db.execute("DELETE FROM entry WHERE folder_id = ?", (folder_id,))
    db.execute("DELETE FROM hold WHERE folder_id = ?", (folder_id,))
    db.execute("DELETE FROM folder WHERE id = ?", (folder_id,))


def meta(db: sqlite3.Connection, key: str) -> str | None:
    """Return a pin, such as `endpoint`, or None."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(db: sqlite3.Connection, key: str, value: str | None) -> None:
    """Pin a value, or unpin it with None."""
    if value is None:
        db.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def is_judged(db: sqlite3.Connection, folder_id: int) -> bool:
    """Say whether the upload budget was judged since the rules changed last."""
    row = db.execute("SELECT contact FROM folder WHERE id = ?", (folder_id,)).fetchone()
    return row is not None and row[0] == "judged"


def identity(db: sqlite3.Connection, folder_id: int) -> str | None:
    """Return how a root is recognised, as it was pinned (JSON), or None before first contact."""
    row = db.execute("SELECT identity FROM folder WHERE id = ?", (folder_id,)).fetchone()
    return None if row is None else row[0]


def oldest_scan(db: sqlite3.Connection) -> float | None:
    """Return when the oldest of the last whole scans of all available folders began; None: one had none yet."""
    rows = db.execute(
        "SELECT scan_began_at FROM folder WHERE attachment = 'active' AND halt IS NULL"
    ).fetchall()
    if not rows or any(row[0] is None for row in rows):
        return None
    return min(float(row[0]) for row in rows)
