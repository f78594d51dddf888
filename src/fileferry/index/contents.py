"""Contents: what is sent, which paths have it or want it, and what becomes of them when its id is known.

The order is always: the new id is recorded, the paths point at it, and only then is the old one retired; all
three in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.index import remotes
from fileferry.index.entries import numbers
from fileferry.model import (
    ContentFacts,
    ContentKey,
    EntryState,
    Event,
    Proof,
    RemoteFile,
    RemoteState,
    RetireReason,
)

if TYPE_CHECKING:
    import sqlite3

    from fileferry.model import Entry, Stamp


@dataclass(frozen=True, slots=True)
class Origin:
    """A path that has the bytes of a content.

    Args:
        folder_id, path, stamp: where, and as what they were read.
        held_id: the content whose id answered for the path then, or None.
    """

    folder_id: int
    path: bytes
    stamp: Stamp
    held_id: int | None


@dataclass(frozen=True, slots=True)
class Want:
    """A content whose upload is due, with the paths that may serve as its source.

    `renew_at` is when its renewal was due, in server seconds; None: it has no id yet.
    """

    content_id: int
    key: ContentKey
    attempts: int
    renew_at: float | None
    origins: tuple[Origin, ...]

    @property
    def renewal(self) -> bool:
        """Say whether it has an id that is to be replaced."""
        return self.renew_at is not None


def identify(db: sqlite3.Connection, key: ContentKey) -> int:
    """Return the id of a content, made if it is new."""
    columns = (key.digest, key.size, key.purpose, key.extension, key.variant)
    row = db.execute(
        "SELECT id FROM content WHERE digest = ? AND size = ? AND purpose = ? AND extension = ? AND variant = ?",
        columns,
    ).fetchone()
    if row is None:
        row = db.execute(
            "INSERT INTO content (digest, size, purpose, extension, variant) VALUES (?, ?, ?, ?, ?) RETURNING id",
            columns,
        ).fetchone()
    return int(row[0])


def key_of(db: sqlite3.Connection, content_id: int) -> ContentKey:
    """Return the key of a content that exists."""
    row = db.execute(
        "SELECT digest, size, purpose, extension, variant FROM content WHERE id = ?", (content_id,)
    ).fetchone()
    return ContentKey(*row)


def facts(db: sqlite3.Connection, content_id: int, *, server_now: float) -> ContentFacts:
    """Return what decides how a path gets the id of this content."""
    live = db.execute(
        "SELECT 1 FROM remote WHERE content_id = ? AND state = 'live'", (content_id,)
    ).fetchone()
    in_flight = db.execute(
        "SELECT 1 FROM intent WHERE content_id = ? AND state <> 'closed'", (content_id,)
    ).fetchone()
    return ContentFacts(
        live=live is not None,
        revivable=remotes.revivable(db, content_id, server_now) is not None,
        in_flight=in_flight is not None,
    )


def want(
    db: sqlite3.Connection, entry: Entry, stamp: Stamp, content_id: int, *, due_at: float | None
) -> None:
    """Note what a path was read as; its state says whether an older version still answers for it."""
    db.execute(
        "UPDATE entry SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ?, device = ?, want_id = ?, due_at = ?,"
        " unsettled_at = NULL, attempts = 0, absent = 0, error = NULL,"
        " state = CASE WHEN held_id IS NULL THEN 'pending' ELSE 'stale' END"
        " WHERE folder_id = ? AND path = ?",
        (*numbers(stamp), content_id, due_at, entry.folder_id, entry.path),
    )


def call_for(db: sqlite3.Connection, content_id: int, *, now: float) -> None:
    """Have a content sent, unless that is due already."""
    db.execute(
        "UPDATE content SET due_at = COALESCE(due_at, ?), attempts = CASE WHEN due_at IS NULL THEN 0 ELSE attempts END"
        " WHERE id = ?",
        (now, content_id),
    )


def plan_renewal(db: sqlite3.Connection, content_id: int, renew_at: float | None) -> None:
    """Note when a content needs a younger id, in server seconds."""
    db.execute("UPDATE content SET renew_at = ? WHERE id = ?", (renew_at, content_id))


def settle(db: sqlite3.Connection, content_id: int, *, now: float, revived: bool = False) -> int:
    """Point every path that wants this content at its live id; retire what they leave behind. Return how many.

    Args:
        content_id: a content with a live remote file.
        now: wall seconds.
        revived: the id was taken back rather than made: new paths are logged as restored.
    """
    new_id = remotes.live_id(db, content_id)
    was_lost = db.execute(
        "SELECT 1 FROM remote WHERE content_id = ? AND state = 'lost'", (content_id,)
    ).fetchone()
    moved_from = db.execute(
        "SELECT 1 FROM entry WHERE held_id = ? AND absent = 1", (content_id,)
    ).fetchone()
    rows = db.execute(
        "SELECT folder_id, path, path_text, held_id FROM entry WHERE want_id = ? AND absent = 0",
        (content_id,),
    ).fetchall()
    for folder_id, path, path_text, held_id in rows:
        old_id = None if held_id is None else remotes.live_id(db, held_id)
        if held_id == content_id:
            event = None
        elif held_id is not None:
            event = Event.UPDATED
        elif revived or was_lost:
            event = Event.RESTORED
        else:
            event, old_id = (Event.RENAMED, new_id) if moved_from else (Event.ADDED, None)
        if event is not None:
            remotes.log_change(db, now, folder_id, path, path_text, event, old_id, new_id)
        db.execute(
            "UPDATE entry SET held_id = ?1, held_mtime_ns = mtime_ns, want_id = NULL, state = ?2, error = NULL,"
            " attempts = 0, approved = 0 WHERE folder_id = ?3 AND path = ?4",
            (content_id, EntryState.SYNCED, folder_id, path),
        )
        if held_id is not None and held_id != content_id:
            remotes.release(db, held_id, RetireReason.CHANGED, folder_id=folder_id, now=now)
    return len(rows)


def record_upload(
    db: sqlite3.Connection,
    content_id: int,
    file: RemoteFile,
    *,
    proof: Proof,
    renew_at: float | None,
    now: float,
    retire_seconds: float,
    origins: tuple[Origin, ...] = (),
) -> int:
    """Record a new id, log it, point paths at it and retire the one it replaces, all together.

    Args:
        content_id: what was sent.
        file: as the API answered.
        proof: how we know that it is ours.
        renew_at: server seconds when it needs a younger one, or None.
        now: wall seconds.
        retire_seconds: how long a replaced id lives on for readers that still hold it.
        origins: where the bytes were when sending began: a path that has moved on since, and has nothing younger,
            gets the id of this older version of it meanwhile.

    Returns:
        How many paths got their id by this.
    """
    old = db.execute(
        "SELECT id, file_id FROM remote WHERE content_id = ? AND state = 'live'", (content_id,)
    ).fetchone()
    if old is not None:
        remotes.retire(
            db, old[0], RetireReason.RENEWED, folder_id=None, now=now, delay=retire_seconds
        )
    # What was on its way out, too old to be taken back, has a younger one now like any other that was renewed.
    db.execute(
        "UPDATE remote SET reason = ? WHERE content_id = ? AND state = 'retiring'",
        (RetireReason.RENEWED, content_id),
    )
    remotes.add_remote(db, content_id, file, state=RemoteState.LIVE, proof=proof, now=now)
    db.execute(
        "UPDATE content SET due_at = NULL, renew_at = ?, attempts = 0, error = NULL WHERE id = ?",
        (renew_at, content_id),
    )
    if old is not None:
        for folder_id, path, path_text in db.execute(
            "SELECT folder_id, path, path_text FROM entry WHERE held_id = ? AND absent = 0",
            (content_id,),
        ).fetchall():
            remotes.log_change(
                db, now, folder_id, path, path_text, Event.RENEWED, old[1], file.file_id
            )
    settled = settle(db, content_id, now=now)
    for origin in origins:
        settled += _trail(db, content_id, origin, now=now)
    remotes.release(db, content_id, RetireReason.REMOVED, folder_id=None, now=now)
    return settled


def _trail(db: sqlite3.Connection, content_id: int, origin: Origin, *, now: float) -> bool:
    """Let a path that moved on while it was sent have the version that was sent, unless it has a younger one."""
    row = db.execute(
        "SELECT path_text FROM entry WHERE folder_id = ? AND path = ? AND held_id IS ? AND held_id IS NOT ?"
        " AND absent = 0 AND state IN ('pending', 'stale', 'error', 'unknown', 'rejected')",
        (origin.folder_id, origin.path, origin.held_id, content_id),
    ).fetchone()
    if row is None:
        return False
    old_id = None if origin.held_id is None else remotes.live_id(db, origin.held_id)
    event = Event.ADDED if origin.held_id is None else Event.UPDATED
    new_id = remotes.live_id(db, content_id)
    remotes.log_change(db, now, origin.folder_id, origin.path, row[0], event, old_id, new_id)
    db.execute(
        "UPDATE entry SET held_id = ?, held_mtime_ns = ?, state = CASE state WHEN 'pending' THEN 'stale' ELSE state END"
        " WHERE folder_id = ? AND path = ?",
        (content_id, origin.stamp.mtime_ns, origin.folder_id, origin.path),
    )
    if origin.held_id is not None:
        remotes.release(
            db, origin.held_id, RetireReason.CHANGED, folder_id=origin.folder_id, now=now
        )
    return True
