"""The rows of `entry`: what was seen at each path, and what is to be looked at again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fileferry.index.identity import display_text, shown
from fileferry.model import Entry, EntryState, Stamp

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_STAMP = "size, mtime_ns, ctime_ns, inode, device"
_SEEN = "state, held_id, want_id, due_at, seen_at, unsettled_at, absent, attempts, approved"
_ENTRY = f"folder_id, path, {_STAMP}, {_SEEN}"
CLOCK_JUMP_SECONDS = (
    3_600.0  # no due time of ours is further ahead: one that is was written by another clock
)


def span(prefix: bytes) -> tuple[bytes, bytes]:
    """Return the half-open range of paths at or below `prefix`: of one directory, or, for b"", of everything."""
    return (prefix + b"/", prefix + b"0") if prefix else (b"", b"\xff" * 8)


def joinable(
    db: sqlite3.Connection, folder_id: int, prefix: bytes
) -> Iterator[tuple[bytes, int, int, int, int, int, str, int]]:
    """Return the rows below a directory, in the order of the walk: path, stamp, state, absent."""
    low, high = span(prefix)
    return db.execute(
        f"SELECT path, {_STAMP}, state, absent FROM entry WHERE folder_id = ? AND path >= ? AND path < ? ORDER BY path",  # noqa: S608
        (folder_id, low, high),
    )


def get(db: sqlite3.Connection, folder_id: int, path: bytes) -> Entry | None:
    """Return one entry, or None."""
    row = db.execute(
        f"SELECT {_ENTRY} FROM entry WHERE folder_id = ? AND path = ?",  # noqa: S608
        (folder_id, path),
    ).fetchone()
    return None if row is None else _entry(row)


def due(
    db: sqlite3.Connection, *, now: float, limit: int, without: frozenset[int] = frozenset()
) -> list[Entry]:
    """Return present entries that are to be looked at, longest waiting first, of folders that may be worked on.

    Args:
        now: wall seconds.
        limit: at most so many.
        without: folders to leave out.
    """
    rows = db.execute(
        f"SELECT {_prefixed('entry')} FROM entry JOIN folder ON folder.id = entry.folder_id"  # noqa: S608
        " WHERE (due_at <= ?1 OR due_at > ?1 + ?2) AND absent = 0 AND hold_id IS NULL"
        " AND attachment = 'active' AND halt IS NULL AND contact = 'judged'"
        f" AND folder_id NOT IN ({', '.join(map(str, sorted(without)))})"
        " ORDER BY due_at, folder_id, path LIMIT ?3",
        (now, CLOCK_JUMP_SECONDS, limit),
    )
    return [_entry(row) for row in rows]


def next_due_at(db: sqlite3.Connection) -> float | None:
    """Return the earliest wall second at which `due` will have something."""
    row = db.execute(
        "SELECT min(due_at) FROM entry JOIN folder ON folder.id = entry.folder_id"
        " WHERE due_at IS NOT NULL AND absent = 0 AND hold_id IS NULL"
        " AND attachment = 'active' AND halt IS NULL AND contact = 'judged'"
    ).fetchone()
    return None if row[0] is None else float(row[0])


def saw(
    db: sqlite3.Connection,
    folder_id: int,
    path: bytes,
    stamp: Stamp,
    *,
    now: float,
    due_at: float,
    settle_max_seconds: float = float("inf"),
) -> None:
    """Note that a path is there with this stamp; what differs from the row becomes due.

    Args:
        now: when it was seen, wall seconds.
        due_at: when it will have been quiet long enough to be read.
        settle_max_seconds: after so long it is due although it never rests.
    """
    row = db.execute(
        f"SELECT {_STAMP}, state, absent, held_id, unsettled_at FROM entry WHERE folder_id = ? AND path = ?",  # noqa: S608
        (folder_id, path),
    ).fetchone()
    if row is None:
        db.execute(
            f"INSERT INTO entry (folder_id, path, path_text, {_STAMP}, state, due_at, seen_at, unsettled_at)"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)",
            (folder_id, path, display_text(path), *numbers(stamp), due_at, now, now),
        )
        return
    known = Stamp(*row[:5])
    state, absent, held_id, unsettled_at = row[5:]
    if known == stamp and not absent and state not in {EntryState.UNKNOWN, EntryState.IGNORED}:
        return
    if unsettled_at is not None and unsettled_at <= now:
        due_at = min(due_at, unsettled_at + settle_max_seconds)
    db.execute(
        "UPDATE entry SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, device = ?, state = ?, want_id = NULL,"
        " due_at = ?, seen_at = ?, unsettled_at = COALESCE(unsettled_at, ?), absent = 0, attempts = 0,"
        " hold_id = NULL, approved = 0, error = NULL WHERE folder_id = ? AND path = ?",
        (
            *numbers(stamp),
            EntryState.PENDING if held_id is None else EntryState.STALE,
            due_at,
            now,
            now,
            folder_id,
            path,
        ),
    )


def missed(db: sqlite3.Connection, folder_id: int, path: bytes, *, now: float) -> None:
    """Note that a path is proven gone. It is let go later, when renames were matched and the guard has spoken."""
    db.execute(
        "UPDATE entry SET absent = 1, seen_at = ?, due_at = NULL, want_id = NULL, unsettled_at = NULL"
        " WHERE folder_id = ? AND path = ? AND absent = 0 AND state NOT IN ('kept', 'ignored')",
        (now, folder_id, path),
    )


def returned(db: sqlite3.Connection, folder_id: int, path: bytes) -> None:
    """Note that an absent path is there again; the survey that follows says as what."""
    db.execute(
        "UPDATE entry SET absent = 0, state = 'unknown' WHERE folder_id = ? AND path = ? AND absent = 1",
        (folder_id, path),
    )


def darkened(db: sqlite3.Connection, folder_id: int, path: bytes, reason: str) -> None:
    """Note that a path, or all below it, cannot be looked at: nothing is concluded from that but the report."""
    low, high = span(path)
    db.execute(
        "UPDATE entry SET state = 'unknown', error = ?, absent = 0 WHERE folder_id = ?"
        " AND (path = ? OR (path >= ? AND path < ?)) AND state NOT IN ('kept', 'ignored')",
        (reason, folder_id, path, low, high),
    )


def disregarded(db: sqlite3.Connection, folder_id: int, path: bytes) -> None:
    """Note that a path is ignored now: its remote file stays until `prune-ignored`; without one, it is dropped."""
    db.execute(
        "DELETE FROM entry WHERE folder_id = ? AND path = ? AND held_id IS NULL", (folder_id, path)
    )
    db.execute(
        "UPDATE entry SET state = 'ignored', want_id = NULL, due_at = NULL, absent = 0, error = NULL,"
        " hold_id = NULL, unsettled_at = NULL WHERE folder_id = ? AND path = ?",
        (folder_id, path),
    )


def waiting(
    db: sqlite3.Connection, entry: Entry, stamp: Stamp, *, until: float, now: float
) -> None:
    """Note that a path still moves: look again when it may have come to rest."""
    db.execute(
        "UPDATE entry SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, device = ?, due_at = ?,"
        " seen_at = CASE WHEN ? AND seen_at <= ? THEN seen_at ELSE ? END,"
        " unsettled_at = COALESCE(unsettled_at, ?), state = CASE WHEN held_id IS NULL THEN 'pending' ELSE 'stale' END"
        " WHERE folder_id = ? AND path = ?",
        (*numbers(stamp), until, stamp == entry.stamp, now, now, now, entry.folder_id, entry.path),
    )


def suspected(db: sqlite3.Connection, entry: Entry, reason: str, *, until: float) -> None:
    """Note that a path cannot be looked at, and when to try again."""
    db.execute(
        "UPDATE entry SET state = 'unknown', error = ?, due_at = ?, attempts = attempts + 1"
        " WHERE folder_id = ? AND path = ?",
        (reason, until, entry.folder_id, entry.path),
    )


def rejected(db: sqlite3.Connection, entry: Entry, stamp: Stamp, reason: str) -> None:
    """Note that the bytes at a path cannot be sent as they are. What it holds stays."""
    db.execute(
        "UPDATE entry SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, device = ?, state = 'rejected',"
        " error = ?, want_id = NULL, due_at = NULL, unsettled_at = NULL, attempts = 0, absent = 0"
        " WHERE folder_id = ? AND path = ?",
        (*numbers(stamp), reason, entry.folder_id, entry.path),
    )


def retry(db: sqlite3.Connection, folder_id: int | None, path: bytes | None, *, now: float) -> int:
    """Make due at once what failed or was rejected, renewals too: everything, a folder's, or at and below one path."""
    low, high = span(path or b"")
    where = "absent = 0"
    arguments: list[object] = [now]
    if folder_id is not None:
        where += " AND folder_id = ?"
        arguments.append(folder_id)
    if path:
        where += " AND (path = ? OR (path >= ? AND path < ?))"
        arguments += [path, low, high]
    failed = f"{where} AND state IN ('error', 'rejected', 'unknown')"
    moved = db.execute(
        "UPDATE content SET due_at = ?, attempts = 0 WHERE due_at IS NOT NULL AND id IN"  # noqa: S608
        f" (SELECT want_id FROM entry WHERE {failed})",
        arguments,
    ).rowcount
    moved += db.execute(
        f"UPDATE entry SET due_at = ?, attempts = 0 WHERE want_id IS NULL AND {failed}",  # noqa: S608
        arguments,
    ).rowcount
    moved += db.execute(
        "UPDATE content SET due_at = ?, attempts = 0 WHERE due_at IS NOT NULL AND renew_at IS NOT NULL AND EXISTS"  # noqa: S608
        f" (SELECT 1 FROM entry WHERE held_id = content.id AND {where})",
        arguments,
    ).rowcount
    return int(moved)


def _prefixed(table: str) -> str:
    return ", ".join(f"{table}.{column.strip()}" for column in _ENTRY.split(","))


def numbers(stamp: Stamp) -> tuple[int, int, int, int, int]:
    """Return a stamp in the order of its columns."""
    return (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode, stamp.device)


def _entry(row: tuple[Any, ...]) -> Entry:
    folder_id, path, *stamp = row[:7]
    state, held_id, want_id, due_at, seen_at, unsettled_at, absent, attempts, approved = row[7:]
    return Entry(
        folder_id=folder_id,
        path=path,
        stamp=Stamp(*stamp),
        state=EntryState(state),
        held_id=held_id,
        want_id=want_id,
        due_at=due_at,
        seen_at=seen_at,
        unsettled_at=unsettled_at,
        absent=bool(absent),
        attempts=attempts,
        approved=bool(approved),
    )


def evidence(
    db: sqlite3.Connection, folder_id: int, *, limit: int
) -> tuple[list[tuple[bytes, Stamp]], int]:
    """Return some files that should be there, with their stamps, and how many there are (counted to a few only).

    Those that were missed a moment ago count too: events may have told of each of them before anybody looked at the
    root. What somebody approved or chose to keep does not.
    """
    rows = db.execute(
        f"SELECT path, {_STAMP} FROM entry WHERE folder_id = ? AND (absent = 0 OR held_id IS NOT NULL)"  # noqa: S608
        " AND approved = 0 AND state NOT IN ('ignored', 'kept') LIMIT ?",
        (folder_id, limit),
    ).fetchall()
    return [(row[0], Stamp(*row[1:])) for row in rows], len(rows)


def trouble(db: sqlite3.Connection, folder_id: int, path: bytes) -> list[tuple[str, str]]:
    """Return what could not be done at and below a path: the path as text, and why."""
    low, high = span(path)
    return [
        (shown(found), str(error or state))
        for found, state, error in db.execute(
            "SELECT entry.path, state, COALESCE(entry.error, content.error) FROM entry"
            " LEFT JOIN content ON content.id = entry.want_id"
            " WHERE folder_id = ?1 AND (path = ?2 OR (path >= ?3 AND path < ?4))"
            " AND state IN ('rejected', 'error', 'unknown') ORDER BY path LIMIT 1000",
            (folder_id, path, low, high),
        )
    ]
