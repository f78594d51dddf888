"""What is to be sent: contents whose upload or renewal is due, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.index import contents, remotes
from fileferry.index.contents import Origin, Want
from fileferry.index.entries import CLOCK_JUMP_SECONDS
from fileferry.model import Stamp

if TYPE_CHECKING:
    import sqlite3

ORIGINS = 8
FAILING_AFTER = 3
DESPAIR_AFTER = 4
# Of the places, for new files: with 80 % of the limit for renewals, that is all of it; and less while those are late.
NEW_SHARE = 0.18
PRESSED_NEW_SHARE = 0.06
LATE_SHARE = 0.25  # of the time between when an id is due and its end
_SENDABLE = (
    "absent = 0 AND hold_id IS NULL AND state NOT IN ('ignored', 'kept', 'unknown')"
    " AND attachment = 'active' AND halt IS NULL"
)
# So long before its end an id that is due goes before others, whose end is further away.
PRESSING_SECONDS = 6 * 3_600.0
_SETTLED = "NOT EXISTS (SELECT 1 FROM intent WHERE content_id = content.id AND state <> 'closed' AND state = 'unknown')"
_NOT_PUT_OFF = f"(due_at IS NULL OR due_at <= :now) AND {_SETTLED}"
# CROSS JOIN: in this order, so that no more rows are looked at than their times make necessary.
_BY_END = (
    "SELECT content.id, content.attempts, renew_at, expires_at FROM remote CROSS JOIN content"  # noqa: S608
    " ON content.id = remote.content_id WHERE remote.state = 'live' AND expires_at <= :end"
    f" AND renew_at <= :server_now AND {_NOT_PUT_OFF} ORDER BY expires_at LIMIT :reach"
)
_BY_TURN = (
    "SELECT content.id, content.attempts, renew_at, expires_at FROM content CROSS JOIN remote"  # noqa: S608
    " ON remote.content_id = content.id AND remote.state = 'live'"
    " WHERE renew_at <= max(:server_now, :until)"
    " AND (renew_at <= :server_now OR renew_at - :server_now <= :share * (renew_at - created_at))"
    f" AND {_NOT_PUT_OFF} ORDER BY renew_at LIMIT :reach"
)

# For few: one by one, each somewhere else on the disk. Or all of them as they lie there, for each a tenth of the time.
_FROM_THE_NEXT = "content CROSS JOIN remote ON remote.content_id = content.id"
_FROM_END_TO_END = "remote NOT INDEXED CROSS JOIN content ON content.id = remote.content_id"
FEW_SHARE = 8


def due(
    db: sqlite3.Connection,
    *,
    now: float,
    server_now: float,
    limit: int,
    busy: frozenset[int],
    early_until: float = float("-inf"),
    early_share: float = 0.0,
) -> list[Want]:
    """Return contents to send: renewals, those that run out first before others; then new files, the one that has
    waited longest first and then the small before the large.

    A part of the places is for new files, a smaller one while renewals are late; so neither waits for ever.

    Args:
        now: wall seconds, for first uploads and retries.
        server_now: server seconds; ids whose renewal is due by then are renewed.
        limit: at most so many.
        busy: contents that are being sent already.
        early_until, early_share: what is due until then is renewed too, early by that share of its interval.
    """
    reach = limit + len(busy)
    moments = {"now": now, "server_now": server_now, "end": server_now + PRESSING_SECONDS}
    early = {"until": early_until, "share": early_share}
    by_end = db.execute(_BY_END, {**moments, "reach": reach})
    by_turn = db.execute(_BY_TURN, {**moments, **early, "reach": reach})
    renewals = list(dict.fromkeys((*by_end, *by_turn)))
    late = any(server_now - row[2] > LATE_SHARE * (row[3] - row[2]) for row in renewals[:1])
    uploads = db.execute(
        "SELECT id, attempts, NULL, size FROM content"  # noqa: S608
        " WHERE due_at IS NOT NULL AND (due_at <= ?1 OR due_at > ?1 + ?2)"
        " AND NOT EXISTS (SELECT 1 FROM remote WHERE content_id = content.id AND state = 'live')"
        f" AND {_SETTLED} ORDER BY due_at, id LIMIT ?3",
        (now, CLOCK_JUMP_SECONDS * 2, reach),
    ).fetchall()
    renewals = [row for row in renewals if row[0] not in busy]
    uploads = [row for row in uploads if row[0] not in busy]
    uploads[1:] = sorted(uploads[1:], key=lambda row: row[3])
    kept_free = max(1, round(limit * (PRESSED_NEW_SHARE if late else NEW_SHARE)))
    first = max(1, limit - min(kept_free, len(uploads)))
    wants: list[Want] = []
    for content_id, attempts, renew_at, _ in (*renewals[:first], *uploads, *renewals[first:]):
        if len(wants) >= limit:
            break
        origins = _origins(db, content_id)
        if not origins:
            _stand_down(db, content_id, renewal=renew_at is not None, now=now)
            continue
        key = contents.key_of(db, content_id)
        wants.append(Want(content_id, key, attempts, renew_at, origins))
    return wants


def renewable(db: sqlite3.Connection) -> int:
    """Return how many contents have an id that needs a younger one some day."""
    return int(db.execute("SELECT count(*) FROM content WHERE renew_at IS NOT NULL").fetchone()[0])


def renewals_ahead(
    db: sqlite3.Connection, *, until: float, grain: float
) -> list[tuple[float, float, int]]:
    """Return what is to be renewed and not put off, in groups of what is due together and lives about as long.

    Args:
        until: server seconds; what is due later is left out.
        grain: how far apart in seconds the first and the last of a group are due, at most.

    Returns:
        When the last of a group is due (server seconds), how long after it was made, and how many they are.
    """
    near = db.execute("SELECT count(*) FROM content WHERE renew_at <= ?", (until,)).fetchone()[0]
    rows = db.execute(
        "SELECT max(renew_at), avg(renew_at - created_at), count(*)"  # noqa: S608
        f" FROM {_FROM_END_TO_END if near * FEW_SHARE > renewable(db) else _FROM_THE_NEXT}"
        " WHERE remote.state = 'live' AND renew_at <= ?1 AND renew_at > created_at AND due_at IS NULL"
        " GROUP BY CAST(renew_at / ?2 AS INTEGER), CAST((renew_at - created_at) / 900 AS INTEGER)",
        (until, grain),
    )
    return [(float(row[0]), float(row[1]), int(row[2])) for row in rows]


def is_wanted(db: sqlite3.Connection, want: Want) -> bool:
    """Say whether a content that was chosen a while ago is still to be sent: it may have got its id meanwhile."""
    live = remotes.live_id(db, want.content_id) is not None
    if want.renew_at is None:
        return not live
    row = db.execute("SELECT renew_at FROM content WHERE id = ?", (want.content_id,)).fetchone()
    return live and row is not None and row[0] == want.renew_at


def put_off(
    db: sqlite3.Connection, content_id: int, *, until: float | None, error: str | None
) -> None:
    """Record that sending failed, and when to try again; None: something else will say when."""
    db.execute(
        "UPDATE content SET due_at = ?, attempts = attempts + ?, error = ? WHERE id = ?",
        (until, 0 if error is None else 1, error, content_id),
    )
    if error is not None:
        db.execute(
            "UPDATE entry SET state = 'error', error = ? WHERE want_id = ? AND state IN ('pending', 'stale')"
            " AND (SELECT attempts FROM content WHERE id = ?) >= ?",
            (error, content_id, content_id, FAILING_AFTER),
        )


def come_back(
    db: sqlite3.Connection, content_id: int, *, at: float, attempts: int, error: str
) -> None:
    """Record when a renewal may begin at the earliest though it is due, how often that was so in a row, and why."""
    db.execute(
        "UPDATE content SET due_at = ?, attempts = ?, error = ? WHERE id = ?",
        (at, attempts, error, content_id),
    )


def despair(db: sqlite3.Connection, content_id: int) -> None:
    """Record that one failure is as good as many: nobody should wait for the next try."""
    db.execute("UPDATE content SET attempts = ? WHERE id = ?", (DESPAIR_AFTER, content_id))


def life_left(db: sqlite3.Connection, content_id: int, *, server_now: float) -> float:
    """Return for how many seconds the id of a content still lives; infinite when it never ends, or there is none."""
    row = db.execute(
        "SELECT expires_at FROM remote WHERE content_id = ? AND state = 'live'", (content_id,)
    ).fetchone()
    return float("inf") if row is None or row[0] is None else float(row[0]) - server_now


def attempts(db: sqlite3.Connection, content_id: int) -> int:
    """Return how often in a row sending a content failed."""
    row = db.execute("SELECT attempts FROM content WHERE id = ?", (content_id,)).fetchone()
    return 0 if row is None else int(row[0])


def hurry(db: sqlite3.Connection, *, now: float) -> None:
    """Make what failed before due at once: somebody asks, and would have to wait for a delay that nobody sees."""
    db.execute("UPDATE content SET due_at = ? WHERE due_at > ?", (now, now))
    db.execute(
        "UPDATE remote SET delete_at = ? WHERE state = 'deleting' AND delete_at > ?", (now, now)
    )


def refuse(db: sqlite3.Connection, content_id: int, reason: str) -> None:
    """Record that the API will never take a content; what its paths hold stays."""
    db.execute(
        "UPDATE content SET due_at = NULL, renew_at = NULL, error = ? WHERE id = ?",
        (reason, content_id),
    )
    db.execute(
        "UPDATE entry SET state = 'rejected', error = ?, want_id = NULL, due_at = NULL WHERE want_id = ?",
        (reason, content_id),
    )


def look_again(db: sqlite3.Connection, folder_id: int, path: bytes, *, now: float) -> None:
    """Have a path read again: it was not as the index said when it was sent, or to be sent."""
    db.execute(
        "UPDATE entry SET due_at = ?, want_id = NULL, unsettled_at = COALESCE(unsettled_at, ?),"
        " state = CASE state WHEN 'synced' THEN 'stale' ELSE state END"
        " WHERE folder_id = ? AND path = ? AND absent = 0",
        (now, now, folder_id, path),
    )


def call_again(db: sqlite3.Connection, folder_id: int, *, now: float) -> None:
    """Have sent what stood down while nobody could give its bytes, because the folder was halted or detached: what
    paths still wait for, though nothing says when, and renewals, which would wait for an hour.
    """
    db.execute(
        "UPDATE content SET due_at = ?1 WHERE due_at IS NULL AND id IN"  # noqa: S608
        " (SELECT want_id FROM entry INDEXED BY entry_want JOIN folder ON folder.id = entry.folder_id"
        f" WHERE want_id IS NOT NULL AND folder_id = ?2 AND {_SENDABLE})"
        " AND NOT EXISTS (SELECT 1 FROM remote WHERE content_id = content.id AND state = 'live')"
        " AND NOT EXISTS (SELECT 1 FROM intent WHERE content_id = content.id AND state <> 'closed')",
        (now, folder_id),
    )
    db.execute(
        "UPDATE content SET due_at = NULL WHERE due_at > ?1 AND renew_at IS NOT NULL AND error IS NULL AND EXISTS"  # noqa: S608
        " (SELECT 1 FROM entry JOIN folder ON folder.id = entry.folder_id WHERE held_id = content.id"
        f" AND folder_id = ?2 AND state = 'synced' AND {_SENDABLE})",
        (now, folder_id),
    )


def call_renewal(db: sqlite3.Connection, content_id: int) -> None:
    """Have a renewal begin that stood down: there is a path again that can give the bytes."""
    db.execute(
        "UPDATE content SET due_at = NULL WHERE id = ? AND renew_at IS NOT NULL AND error IS NULL",
        (content_id,),
    )


def _origins(db: sqlite3.Connection, content_id: int) -> tuple[Origin, ...]:
    rows = db.execute(
        "SELECT folder_id, path, held_id, size, mtime_ns, ctime_ns, inode, device FROM entry"  # noqa: S608
        " JOIN folder ON folder.id = entry.folder_id"
        f" WHERE (want_id = ?1 OR (held_id = ?1 AND state = 'synced')) AND {_SENDABLE} LIMIT ?2",
        (content_id, ORIGINS),
    )
    return tuple(Origin(row[0], row[1], Stamp(*row[3:]), row[2]) for row in rows)


def _stand_down(db: sqlite3.Connection, content_id: int, *, renewal: bool, now: float) -> None:
    """Nobody can give the bytes now: whoever can will ask again. A renewal is asked for again in an hour."""
    if renewal:
        db.execute(
            "UPDATE content SET due_at = ?, error = NULL WHERE id = ?",
            (now + CLOCK_JUMP_SECONDS, content_id),
        )
    else:
        db.execute("UPDATE content SET due_at = NULL WHERE id = ?", (content_id,))
