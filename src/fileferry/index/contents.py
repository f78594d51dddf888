"""Contents and their remote files: which id answers for which bytes, and which id is on its way out.

The order is always: the new id is recorded, the paths point at it, and only then is the old one retired; all
three in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

REVIVAL_MARGIN_SECONDS = 900
TAKEN_BACK = (RetireReason.REMOVED, RetireReason.CHANGED)


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
        revivable=_revivable(db, content_id, server_now) is not None,
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


def revive(db: sqlite3.Connection, content_id: int, *, server_now: float) -> tuple[int, int | None]:
    """Take back the id of a content whose bytes came back before it was deleted.

    Returns:
        When it was made and when it expires, in server seconds: its renewal has to be planned again.
    """
    row = _revivable(db, content_id, server_now)
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
    new_id = live_id(db, content_id)
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
        old_id = None if held_id is None else live_id(db, held_id)
        if held_id == content_id:
            event = None
        elif held_id is not None:
            event = Event.UPDATED
        elif revived or was_lost:
            event = Event.RESTORED
        else:
            event, old_id = (Event.RENAMED, new_id) if moved_from else (Event.ADDED, None)
        if event is not None:
            log_change(db, now, folder_id, path, path_text, event, old_id, new_id)
        db.execute(
            "UPDATE entry SET held_id = ?1, held_mtime_ns = mtime_ns, want_id = NULL, state = ?2, error = NULL,"
            " attempts = 0, approved = 0 WHERE folder_id = ?3 AND path = ?4",
            (content_id, EntryState.SYNCED, folder_id, path),
        )
        if held_id is not None and held_id != content_id:
            release(db, held_id, RetireReason.CHANGED, folder_id=folder_id, now=now)
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
        _retire(db, old[0], RetireReason.RENEWED, folder_id=None, now=now, delay=retire_seconds)
    # What was on its way out, too old to be taken back, has a younger one now like any other that was renewed.
    db.execute(
        "UPDATE remote SET reason = ? WHERE content_id = ? AND state = 'retiring'",
        (RetireReason.RENEWED, content_id),
    )
    add_remote(db, content_id, file, state=RemoteState.LIVE, proof=proof, now=now)
    db.execute(
        "UPDATE content SET due_at = NULL, renew_at = ?, attempts = 0, error = NULL WHERE id = ?",
        (renew_at, content_id),
    )
    if old is not None:
        for folder_id, path, path_text in db.execute(
            "SELECT folder_id, path, path_text FROM entry WHERE held_id = ? AND absent = 0",
            (content_id,),
        ).fetchall():
            log_change(db, now, folder_id, path, path_text, Event.RENEWED, old[1], file.file_id)
    settled = settle(db, content_id, now=now)
    for origin in origins:
        settled += _trail(db, content_id, origin, now=now)
    release(db, content_id, RetireReason.REMOVED, folder_id=None, now=now)
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
    old_id = None if origin.held_id is None else live_id(db, origin.held_id)
    event = Event.ADDED if origin.held_id is None else Event.UPDATED
    new_id = live_id(db, content_id)
    log_change(db, now, origin.folder_id, origin.path, row[0], event, old_id, new_id)
    db.execute(
        "UPDATE entry SET held_id = ?, held_mtime_ns = ?, state = CASE state WHEN 'pending' THEN 'stale' ELSE state END"
        " WHERE folder_id = ? AND path = ?",
        (content_id, origin.stamp.mtime_ns, origin.folder_id, origin.path),
    )
    if origin.held_id is not None:
        release(db, origin.held_id, RetireReason.CHANGED, folder_id=origin.folder_id, now=now)
    return True


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
    _retire(db, row[0], reason, folder_id=folder_id, now=now, delay=seconds)
    return True


def is_used(db: sqlite3.Connection, content_id: int) -> bool:
    """Say whether any path points at a content or wants it."""
    return (
        db.execute(
            "SELECT 1 FROM entry WHERE held_id = ?1 UNION ALL SELECT 1 FROM entry WHERE want_id = ?1 LIMIT 1",
            (content_id,),
        ).fetchone()
        is not None
    )


def live_id(db: sqlite3.Connection, content_id: int) -> str | None:
    """Return the id that answers for a content, or None."""
    row = db.execute(
        "SELECT file_id FROM remote WHERE content_id = ? AND state = 'live'", (content_id,)
    ).fetchone()
    return None if row is None else str(row[0])


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


def _revivable(
    db: sqlite3.Connection, content_id: int, server_now: float
) -> tuple[int, str] | None:
    row: tuple[int, str] | None = db.execute(
        "SELECT id, file_id FROM remote WHERE content_id = ? AND state = 'retiring' AND reason IN (?, ?)"
        " AND (expires_at IS NULL OR expires_at > ?) ORDER BY created_at DESC LIMIT 1",
        (content_id, *TAKEN_BACK, server_now + REVIVAL_MARGIN_SECONDS),
    ).fetchone()
    return row


def _retire(
    db: sqlite3.Connection,
    remote_id: int,
    reason: RetireReason,
    *,
    folder_id: int | None,
    now: float,
    delay: float,
) -> None:
    db.execute(
        "UPDATE remote SET state = 'retiring', reason = ?, folder_id = ?, retired_at = ?, delete_at = ? WHERE id = ?",
        (reason, folder_id, now, now + delay, remote_id),
    )
