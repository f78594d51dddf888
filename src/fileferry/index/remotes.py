"""Remote files: which id answers for a content, which is on its way out, and the log of what changed.

A content has at most one live id. An id that is replaced or that nothing points at any more is retired, and deleted
when its delay has passed (`leaving`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.index import folders
from fileferry.model import Event, Proof, RemoteFile, RemoteState, RetireReason

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Container

WRITTEN_OFF_KEY = "written_off_at"
REVIVAL_MARGIN_SECONDS = 900
TAKEN_BACK = (RetireReason.REMOVED, RetireReason.CHANGED)


def live_id(db: sqlite3.Connection, content_id: int) -> str | None:
    """Return the id that answers for a content, or None."""
    row = db.execute(
        "SELECT file_id FROM remote WHERE content_id = ? AND state = 'live'", (content_id,)
    ).fetchone()
    return None if row is None else str(row[0])


def may_exist(db: sqlite3.Connection) -> bool:
    """Say whether anything that this index sent may be, or may have been, at the remote that it is pinned to."""
    query = (
        "SELECT 1 FROM remote UNION ALL"
        " SELECT 1 FROM intent WHERE outcome IS NULL OR outcome NOT IN ('refused', 'not sent') LIMIT 1"
    )
    return db.execute(query).fetchone() is not None


def has_expired(db: sqlite3.Connection, server_now: float) -> bool:
    """Say whether any id still answers that the server must have deleted by itself."""
    query = "SELECT 1 FROM remote WHERE state = 'live' AND expires_at <= ? LIMIT 1"
    return db.execute(query, (server_now,)).fetchone() is not None


def is_used(db: sqlite3.Connection, content_id: int) -> bool:
    """Say whether any path points at a content or wants it."""
    return (
        db.execute(
            "SELECT 1 FROM entry WHERE held_id = ?1 UNION ALL SELECT 1 FROM entry WHERE want_id = ?1 LIMIT 1",
            (content_id,),
        ).fetchone()
        is not None
    )


def add_remote(
    db: sqlite3.Connection,
    content_id: int | None,
    file: RemoteFile,
    *,
    state: RemoteState,
    proof: Proof,
    now: float,
    reason: RetireReason | None = None,
) -> None:
    """Record a remote file of ours; one that was never to answer is recorded as retiring, due at once."""
    leaving = state is RemoteState.RETIRING
    db.execute(
        "INSERT INTO remote (file_id, content_id, name, size, purpose, created_at, expires_at, recorded_at, state,"
        " proof, reason, retired_at, delete_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            file.file_id,
            content_id,
            file.name,
            file.size or 0,
            file.purpose,
            file.created_at,
            file.expires_at,
            now,
            state,
            proof,
            reason,
            now if leaving else None,
            now if leaving else None,
        ),
    )


def release(
    db: sqlite3.Connection,
    content_id: int,
    reason: RetireReason,
    *,
    folder_id: int | None,
    now: float,
    at_once: bool = False,
) -> bool:
    """Retire the id of a content if no path points at it or wants it any more; say whether it was."""
    if is_used(db, content_id):
        return False
    db.execute("UPDATE content SET due_at = NULL, renew_at = NULL WHERE id = ?", (content_id,))
    row = db.execute(
        "SELECT id FROM remote WHERE content_id = ? AND state = 'live'", (content_id,)
    ).fetchone()
    if row is None:
        return False
    column = "delete_seconds" if reason is RetireReason.REMOVED else "retire_seconds"
    delay = db.execute(f"SELECT {column} FROM folder WHERE id = ?", (folder_id,)).fetchone()  # noqa: S608
    seconds = 0.0 if at_once or delay is None else float(delay[0])
    retire(db, row[0], reason, folder_id=folder_id, now=now, delay=seconds)
    return True


def revive(db: sqlite3.Connection, content_id: int, *, server_now: float) -> tuple[int, int | None]:
    """Take back the id of a content whose bytes came back before it was deleted.

    Returns:
        When it was made and when it expires, in server seconds: its renewal has to be planned again.
    """
    row = revivable(db, content_id, server_now)
    assert row is not None, "decided on facts of the same transaction"
    db.execute(
        "UPDATE remote SET state = 'live', reason = NULL, folder_id = NULL, retired_at = NULL, delete_at = NULL"
        " WHERE id = ?",
        (row[0],),
    )
    created_at, expires_at = db.execute(
        "SELECT created_at, expires_at FROM remote WHERE id = ?", (row[0],)
    ).fetchone()
    return created_at, expires_at


def lose(db: sqlite3.Connection, file_id: str, *, now: float) -> None:
    """Record that a live id is gone without our doing: its paths have none until its bytes were sent again."""
    row = db.execute(
        "SELECT id, content_id FROM remote WHERE file_id = ? AND state = 'live'", (file_id,)
    ).fetchone()
    if row is None:
        return
    remote_id, content_id = row
    db.execute("UPDATE remote SET state = 'lost', ended_at = ? WHERE id = ?", (now, remote_id))
    db.execute("UPDATE content SET due_at = ?, renew_at = NULL WHERE id = ?", (now, content_id))
    for folder_id, path, path_text, state in db.execute(
        "SELECT folder_id, path, path_text, state FROM entry WHERE held_id = ?", (content_id,)
    ).fetchall():
        log_change(db, now, folder_id, path, path_text, Event.LOST, file_id, None)
        db.execute(
            "UPDATE entry SET want_id = CASE WHEN ?1 = 'synced' THEN held_id ELSE want_id END, held_id = NULL,"
            " held_mtime_ns = NULL, state = CASE WHEN ?1 IN ('synced', 'stale') THEN 'pending' ELSE state END"
            " WHERE folder_id = ?2 AND path = ?3",
            (state, folder_id, path),
        )


def found_again(
    db: sqlite3.Connection, listed: Container[str], *, now: float, delay: float
) -> list[str]:
    """Retire what was called lost and is listed after all: its paths have had their bytes sent again. Return the ids.

    Not what was written off because the index has another remote now: nothing of that is ever deleted.
    """
    written_off_at = float(folders.meta(db, WRITTEN_OFF_KEY) or "-inf")
    rows = db.execute(
        "SELECT id, file_id FROM remote WHERE state = 'lost' AND ended_at > ?", (written_off_at,)
    ).fetchall()
    found = [(remote_id, file_id) for remote_id, file_id in rows if file_id in listed]
    for remote_id, _ in found:
        db.execute("UPDATE remote SET ended_at = NULL WHERE id = ?", (remote_id,))
        retire(db, remote_id, RetireReason.RENEWED, folder_id=None, now=now, delay=delay)
    return [file_id for _, file_id in found]


def log_change(
    db: sqlite3.Connection,
    now: float,
    folder_id: int,
    path: bytes,
    path_text: str | None,
    event: Event,
    old_file_id: str | None,
    new_file_id: str | None,
) -> None:
    """Append to the public change log, in the transaction of the change itself."""
    db.execute(
        "INSERT INTO change_log (at, folder_id, path, path_text, event, old_file_id, new_file_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (now, folder_id, path, path_text, event, old_file_id, new_file_id),
    )


def revivable(db: sqlite3.Connection, content_id: int, server_now: float) -> tuple[int, str] | None:
    """Return the row and the id that may be taken back for a content, the youngest, or None."""
    row: tuple[int, str] | None = db.execute(
        "SELECT id, file_id FROM remote WHERE content_id = ? AND state = 'retiring' AND reason IN (?, ?)"
        " AND (expires_at IS NULL OR expires_at > ?) ORDER BY created_at DESC LIMIT 1",
        (content_id, *TAKEN_BACK, server_now + REVIVAL_MARGIN_SECONDS),
    ).fetchone()
    return row


def retire(
    db: sqlite3.Connection,
    remote_id: int,
    reason: RetireReason,
    *,
    folder_id: int | None,
    now: float,
    delay: float,
) -> None:
    """Put an id on its way out: it may be deleted `delay` seconds from `now`."""
    db.execute(
        "UPDATE remote SET state = 'retiring', reason = ?, folder_id = ?, retired_at = ?, delete_at = ? WHERE id = ?",
        (reason, folder_id, now, now + delay, remote_id),
    )
