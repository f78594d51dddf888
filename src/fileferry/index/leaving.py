"""What leaves: paths that are gone, and remote files on their way out.

A remote file is deleted in two transactions with the call between them: `begin_deletes` moves it to `deleting`,
after which it is never linked or printed again, and `end_delete` records the answer. A crash repeats the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.index import remotes
from fileferry.model import Event, RetireReason

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Absence:
    """A path that is proven gone and not yet let go.

    Args:
        path: relative to its folder.
        missed_at: when it was first missed, wall seconds.
        approved: somebody released it from a hold.
        content_id: what it holds, or None.
        leaves: nothing else points at that content, so that its remote file would go with the path.
    """

    path: bytes
    missed_at: float
    approved: bool
    content_id: int | None
    leaves: bool


@dataclass(frozen=True, slots=True)
class Absences:
    """The absences of a folder, and what the guard measures them by.

    Args:
        paths: in order.
        left: remote files of the folder that went with their paths in the last 24 hours.
        total: remote files that the folder had before that.
        held: remote files that gone paths point at, and that a guard keeps until somebody decides.
    """

    paths: tuple[Absence, ...]
    left: int
    total: int
    held: int

    @property
    def leaving(self) -> int:
        """Return how many remote files would go that nobody has approved."""
        return len({gone.content_id for gone in self.paths if gone.leaves and not gone.approved})


@dataclass(frozen=True, slots=True)
class Leaving:
    """A remote file whose DELETE may be sent, again if need be."""

    remote_id: int
    file_id: str
    name: str
    reason: str
    attempts: int


def absences(db: sqlite3.Connection, folder_id: int, *, now: float, window: float) -> Absences:
    """Return the paths of a folder that went, and what a guard needs to know about them."""
    rows = db.execute(
        # A remote file goes when every path that points at its content is itself going.
        "SELECT path, seen_at, approved, held_id, held_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entry AS other"
        " WHERE other.held_id = gone.held_id AND (other.absent = 0 OR other.hold_id IS NOT NULL"
        " OR other.state = 'kept')) AND NOT EXISTS (SELECT 1 FROM entry AS other WHERE other.want_id = gone.held_id)"
        " FROM entry AS gone WHERE folder_id = ? AND absent = 1 AND hold_id IS NULL AND state <> 'kept' ORDER BY path",
        (folder_id,),
    ).fetchall()
    left = db.execute(
        "SELECT count(*) FROM remote WHERE folder_id = ? AND reason = ? AND retired_at > ?",
        (folder_id, RetireReason.REMOVED, now - window),
    ).fetchone()[0]
    had = db.execute(
        "SELECT count(DISTINCT held_id) FROM entry WHERE folder_id = ?", (folder_id,)
    ).fetchone()[0]
    held = db.execute(
        "SELECT count(DISTINCT held_id) FROM entry WHERE folder_id = ? AND absent = 1 AND hold_id IS NOT NULL",
        (folder_id,),
    ).fetchone()[0]
    paths = tuple(
        Absence(path, missed_at, bool(approved), content_id, bool(leaves))
        for path, missed_at, approved, content_id, leaves in rows
    )
    return Absences(paths, left, had + left, held)


def let_go(
    db: sqlite3.Connection, folder_id: int, paths: list[bytes], *, now: float, at_once: bool
) -> int:
    """Drop paths that are still absent, log it, retire what nothing points at any more. Return how many went."""
    gone = 0
    for path in paths:
        row = db.execute(
            "DELETE FROM entry WHERE folder_id = ? AND path = ? AND absent = 1 AND hold_id IS NULL"
            " AND state <> 'kept' RETURNING path_text, held_id",
            (folder_id, path),
        ).fetchone()
        if row is None:
            continue
        gone += 1
        path_text, held_id = row
        if held_id is None:
            continue
        remotes.log_change(
            db,
            now,
            folder_id,
            path,
            path_text,
            Event.REMOVED,
            remotes.live_id(db, held_id),
            None,
        )
        remotes.release(
            db, held_id, RetireReason.REMOVED, folder_id=folder_id, now=now, at_once=at_once
        )
    return gone


def unread(db: sqlite3.Connection) -> int:
    """Return how many present paths are still to be read: any of them may be where an absent one went."""
    row = db.execute(
        "SELECT count(*) FROM entry JOIN folder ON folder.id = entry.folder_id WHERE due_at IS NOT NULL"
        " AND absent = 0 AND hold_id IS NULL AND attempts = 0 AND want_id IS NULL"
        " AND attachment = 'active' AND halt IS NULL"
    ).fetchone()
    return int(row[0])


# An index that was restored or moved deletes nothing before an audit: another one may use the same ids. Where there was
# no whole scan, :scans_began_at is NULL, and nothing is before that.
_DELETABLE = (
    "NOT EXISTS (SELECT 1 FROM meta WHERE key = 'unaudited') AND"
    " state IN ('retiring', 'deleting') AND delete_at <= :now AND proof = 'proven'"
    " AND (state = 'deleting' OR reason NOT IN ('removed', 'changed') OR (retired_at < :scans_began_at"
    " AND NOT EXISTS (SELECT 1 FROM entry WHERE held_id = remote.content_id)"
    " AND NOT EXISTS (SELECT 1 FROM entry WHERE want_id = remote.content_id)))"
)


def is_due(db: sqlite3.Connection, *, now: float, scans_began_at: float | None) -> bool:
    """Say whether `begin_deletes` would choose anything."""
    row = db.execute(
        f"SELECT 1 FROM remote WHERE {_DELETABLE}",  # noqa: S608
        {"now": now, "scans_began_at": scans_began_at},
    ).fetchone()
    return row is not None


def begin_deletes(
    db: sqlite3.Connection, *, now: float, scans_began_at: float | None, limit: int
) -> list[Leaving]:
    """Choose ids whose delete is due and that nothing points at, and give them up for good.

    Args:
        now: wall seconds.
        scans_began_at: when the oldest of the last whole scans of all available folders began; an id that went
            with its path is only deleted if it was retired before. None: there was none.
        limit: at most so many.
    """
    rows = db.execute(
        f"SELECT id, file_id, name, reason, attempts FROM remote WHERE {_DELETABLE} ORDER BY delete_at LIMIT :limit",  # noqa: S608
        {"now": now, "scans_began_at": scans_began_at, "limit": limit},
    ).fetchall()
    for row in rows:
        db.execute("UPDATE remote SET state = 'deleting' WHERE id = ?", (row[0],))
    return [Leaving(*row) for row in rows]


def unproven_due(db: sqlite3.Connection, *, now: float, scans_began_at: float | None) -> bool:
    """Say whether a delete is due that only waits for a whole scan younger than its retirement."""
    row = db.execute(
        "SELECT 1 FROM remote WHERE state = 'retiring' AND delete_at <= :now AND proof = 'proven'"
        " AND reason IN ('removed', 'changed') AND (:scans_began_at IS NULL OR retired_at >= :scans_began_at)",
        {"now": now, "scans_began_at": scans_began_at},
    ).fetchone()
    return row is not None


def end_delete(db: sqlite3.Connection, remote_id: int, *, now: float) -> None:
    """Record that the API deleted an id, or did not know it any more."""
    db.execute("UPDATE remote SET state = 'deleted', ended_at = ? WHERE id = ?", (now, remote_id))


def put_off_delete(db: sqlite3.Connection, remote_id: int, *, until: float) -> None:
    """Record that a DELETE failed, and when to send it again."""
    db.execute(
        "UPDATE remote SET delete_at = ?, attempts = attempts + 1 WHERE id = ?", (until, remote_id)
    )


def count_anew(db: sqlite3.Connection, *, now: float) -> int:
    """Let what was retired in the future, before our clock was set back, count from now; return how many."""
    cursor = db.execute(
        "UPDATE remote SET delete_at = ?1 + max(0, delete_at - retired_at), retired_at = ?1"
        " WHERE state = 'retiring' AND retired_at > ?1",
        (now,),
    )
    return int(cursor.rowcount)


def hasten(db: sqlite3.Connection, *, now: float) -> int:
    """Make the delete of everything that went with its path due at once (`sync --now`); return how many."""
    cursor = db.execute(
        "UPDATE remote SET delete_at = ? WHERE state = 'retiring' AND reason = ? AND delete_at > ?",
        (now, RetireReason.REMOVED, now),
    )
    return int(cursor.rowcount)
