"""Ending things because somebody asked: a folder, what is ignored now, everything, or a remote that was changed.

Remote files are retired here or written off, never called. Only ids that this index has proven to be its own are
deleted later; a content that another path points at is never retired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.index import folders, remotes
from fileferry.model import Event, Proof, RemoteState, RetireReason

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of it.

    Args:
        paths: how many left the index.
        deletes: remote files that are on their way out now.
        unproven: remote files that only look like ours: they go with `orphans --delete` alone.
        shared: remote files that stay because other paths point at them.
        left: remote files that stay live, with no path that points at them.
    """

    paths: int
    deletes: int
    unproven: int
    shared: int
    left: int


def end_folder(db: sqlite3.Connection, folder_id: int, *, now: float, delete: bool) -> Ended:
    """Drop a folder and its paths; what they alone pointed at is retired, or left as it is."""
    paths, touched = _drop(db, "folder_id = ?", (folder_id,), now=now)
    ended = _retire(db, touched, paths, now=now) if delete else _leave(db, touched, paths)
    if delete:
        # What went with its path before goes with the folder: no scan of it will come any more.
        db.execute(
            "UPDATE remote SET reason = ?, retired_at = ?, delete_at = ? WHERE folder_id = ?"
            " AND state = 'retiring' AND reason IN ('removed', 'changed')"
            " AND NOT EXISTS (SELECT 1 FROM entry WHERE held_id = remote.content_id)"
            " AND NOT EXISTS (SELECT 1 FROM entry WHERE want_id = remote.content_id)",
            (RetireReason.FORGOTTEN, now, now, folder_id),
        )
    _forget(db, folder_id)
    return ended


def end_ignored(db: sqlite3.Connection, *, now: float) -> Ended:
    """Drop the paths that are ignored now, in folders that are mirrored, and retire what they alone pointed at."""
    where = "state = 'ignored' AND folder_id IN (SELECT id FROM folder WHERE attachment = 'active')"
    paths, touched = _drop(db, where, (), now=now)
    return _retire(db, touched, paths, now=now)


def end_everything(db: sqlite3.Connection, *, now: float) -> Ended:
    """Retire every remote file of this index, and begin anew with folders that are still in the configuration."""
    paths, _ = _drop(db, "1", (), now=now)
    db.execute("DELETE FROM hold")
    for row in folders.all_rows(db):
        if row.attachment != "active":
            _forget(db, row.folder_id)
    db.execute(
        "UPDATE folder SET contact = 'new', identity = NULL, halt = NULL, scan_began_at = NULL, scan_ended_at = NULL"
    )
    db.execute("UPDATE content SET due_at = NULL, renew_at = NULL, attempts = 0, error = NULL")
    db.execute(
        "UPDATE remote SET state = 'retiring', reason = ?1, folder_id = NULL, retired_at = ?2, delete_at = ?2"
        " WHERE state IN ('live', 'retiring')",
        (RetireReason.FORGOTTEN, now),
    )
    deletes, unproven = _leaving(db)
    return Ended(paths, deletes, unproven, 0, 0)


def write_off(db: sqlite3.Connection, *, now: float) -> int:
    """Take every id for lost, because the index has another remote now; return how many were live.

    None of them is ever deleted: what is at the old remote is out of our reach, and at the new one it is not ours.
    """
    folders.set_meta(db, remotes.WRITTEN_OFF_KEY, repr(now))
    live = [row[0] for row in db.execute("SELECT file_id FROM remote WHERE state = 'live'")]
    for file_id in live:
        remotes.lose(db, file_id, now=now)
    db.execute(
        "UPDATE remote SET state = ?, ended_at = ?, delete_at = NULL WHERE state IN ('retiring', 'deleting')",
        (RemoteState.LOST, now),
    )
    # Uploads without an answer went to the old remote: nothing at the new one can be theirs.
    db.execute(
        "UPDATE intent SET state = 'closed', outcome = 'refused', closed_at = ?"
        " WHERE state <> 'closed' OR outcome = 'none'",
        (now,),
    )
    db.execute(
        "UPDATE content SET due_at = ?, attempts = 0, error = NULL"
        " WHERE id IN (SELECT want_id FROM entry WHERE want_id IS NOT NULL)",
        (now,),
    )
    return len(live)


def unpointed(db: sqlite3.Connection) -> int:
    """Return how many live remote files no path points at: a folder was forgotten and its files were left."""
    row = db.execute(
        "SELECT count(*) FROM remote WHERE state = 'live'"
        " AND NOT EXISTS (SELECT 1 FROM entry WHERE held_id = remote.content_id)"
    ).fetchone()
    return int(row[0])


def _drop(
    db: sqlite3.Connection, where: str, arguments: tuple[object, ...], *, now: float
) -> tuple[int, set[int]]:
    """Delete entries, log what they held; return how many, and the contents that they pointed at."""
    rows = db.execute(
        f"SELECT folder_id, path, path_text, held_id, want_id FROM entry WHERE {where}",  # noqa: S608
        arguments,
    ).fetchall()
    touched: set[int] = set()
    for folder_id, path, path_text, held_id, want_id in rows:
        touched |= {one for one in (held_id, want_id) if one is not None}
        if held_id is not None:
            old_id = remotes.live_id(db, held_id)
            remotes.log_change(db, now, folder_id, path, path_text, Event.REMOVED, old_id, None)
    db.execute(f"DELETE FROM entry WHERE {where}", arguments)  # noqa: S608
    return len(rows), touched


def _retire(db: sqlite3.Connection, touched: set[int], paths: int, *, now: float) -> Ended:
    deletes = unproven = shared = 0
    for content_id in touched:
        proof = db.execute(
            "SELECT proof FROM remote WHERE content_id = ? AND state = 'live'", (content_id,)
        ).fetchone()
        gone = remotes.release(
            db, content_id, RetireReason.FORGOTTEN, folder_id=None, now=now, at_once=True
        )
        if proof is None:
            continue
        shared += not gone
        deletes += gone and proof[0] == Proof.PROVEN
        unproven += gone and proof[0] != Proof.PROVEN
    return Ended(paths, deletes, unproven, shared, 0)


def _leave(db: sqlite3.Connection, touched: set[int], paths: int) -> Ended:
    shared = left = 0
    for content_id in touched:
        used = remotes.is_used(db, content_id)
        if not used:
            db.execute("UPDATE content SET due_at = NULL WHERE id = ?", (content_id,))
        if remotes.live_id(db, content_id) is not None:
            shared += used
            left += not used
    return Ended(paths, 0, 0, shared, left)


def _leaving(db: sqlite3.Connection) -> tuple[int, int]:
    row = db.execute(
        "SELECT count(CASE WHEN proof = 'proven' THEN 1 END), count(CASE WHEN proof <> 'proven' THEN 1 END)"
        " FROM remote WHERE state IN ('retiring', 'deleting')"
    ).fetchone()
    return int(row[0]), int(row[1])


def _forget(db: sqlite3.Connection, folder_id: int) -> None:
    # A later folder may be given the number of this one: neither its history nor its deletes are that one's.
    db.execute("UPDATE change_log SET folder_id = -folder_id WHERE folder_id = ?", (folder_id,))
    db.execute("UPDATE remote SET folder_id = NULL WHERE folder_id = ?", (folder_id,))
    folders.forget(db, folder_id)
