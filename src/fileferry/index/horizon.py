"""What is still to come: what a `sync` waits for, and when the loop has to wake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.index import entries, intents, parts, trust

if TYPE_CHECKING:
    import sqlite3

TRIES = 4
_WORKABLE = "attachment = 'active' AND halt IS NULL"


@dataclass(frozen=True, slots=True)
class Horizon:
    """When things fall due, in wall seconds unless said otherwise; None: nothing of the kind.

    Args:
        read_at: a path is to be looked at.
        send_at: a content is to be sent.
        renew_at: an id needs a younger one, in server seconds; what was put off is in `send_at`.
        delete_at: an id may be deleted.
        absent: paths that are gone and not yet let go.
        unknown: uploads whose outcome is unknown.
        unfinished: paths and contents that `sync` waits for: not those that failed several times.
        audit_asked: something waits for an audit of the remote.
        cancel_at: an Upload in parts that nobody wants is to be cancelled.
    """

    read_at: float | None
    send_at: float | None
    renew_at: float | None
    delete_at: float | None
    absent: int
    unknown: int
    unfinished: int
    audit_asked: bool = False
    cancel_at: float | None = None


def look(db: sqlite3.Connection) -> Horizon:
    """Read the horizon."""
    read_at, to_read = db.execute(
        "SELECT min(due_at), count(CASE WHEN attempts < ? THEN 1 END) FROM entry"  # noqa: S608
        " JOIN folder ON folder.id = entry.folder_id"
        f" WHERE due_at IS NOT NULL AND absent = 0 AND hold_id IS NULL AND {_WORKABLE}",
        (TRIES,),
    ).fetchone()
    send_at, to_send = db.execute(
        "SELECT min(due_at), count(CASE WHEN attempts < ? AND NOT EXISTS (SELECT 1 FROM remote"
        " WHERE content_id = content.id AND state = 'live') THEN 1 END) FROM content WHERE due_at IS NOT NULL",
        (TRIES,),
    ).fetchone()
    renew_at = db.execute(
        "SELECT renew_at FROM content WHERE renew_at IS NOT NULL AND due_at IS NULL ORDER BY renew_at LIMIT 1"
    ).fetchone()
    delete_at = db.execute(
        "SELECT min(delete_at) FROM remote WHERE state IN ('retiring', 'deleting') AND proof = 'proven'"
    ).fetchone()
    absent = db.execute(
        "SELECT count(*) FROM entry JOIN folder ON folder.id = entry.folder_id"  # noqa: S608
        f" WHERE absent = 1 AND hold_id IS NULL AND state <> 'kept' AND {_WORKABLE}"
    ).fetchone()[0]
    unknown = intents.count_unknown(db)
    return Horizon(
        read_at,
        send_at,
        None if renew_at is None else renew_at[0],
        delete_at[0],
        absent,
        unknown,
        to_read + to_send,
        trust.is_asked(db),
        parts.cancel_at(db),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Files by state, and how many of them are gone and held: those wait for a person, not for us."""

    states: dict[str, int]
    going: int
    bytes_pending: int

    @property
    def pending(self) -> int:
        """Return how many files have something left to be done for them."""
        return self.states.get("pending", 0) + self.states.get("stale", 0) - self.going

    @property
    def failed(self) -> int:
        """Return for how many files nothing could be done."""
        return sum(self.states.get(name, 0) for name in ("rejected", "error", "unknown"))


def tally(db: sqlite3.Connection) -> Tally:
    """Count files of folders that are in the configuration."""
    states = {
        str(state): int(count)
        for state, count in db.execute(
            "SELECT state, count(*) FROM entry JOIN folder ON folder.id = entry.folder_id"
            " WHERE attachment = 'active' GROUP BY state"
        )
    }
    going = db.execute(
        "SELECT count(*) FROM entry JOIN folder ON folder.id = entry.folder_id WHERE attachment = 'active'"
        " AND hold_id IS NOT NULL AND absent = 1 AND state IN ('pending', 'stale')"
    ).fetchone()[0]
    pending = db.execute(
        "SELECT COALESCE(sum(size), 0) FROM entry WHERE state IN ('pending', 'stale') AND absent = 0"
    ).fetchone()[0]
    return Tally(states, int(going), int(pending))


def is_moving(db: sqlite3.Connection, folder_id: int, path: bytes) -> bool:
    """Say whether anything at or below a path is not yet in a final state; what is held does not count."""
    low, high = entries.span(path)
    row = db.execute(
        "SELECT 1 FROM entry WHERE folder_id = ?1 AND (path = ?2 OR (path >= ?3 AND path < ?4))"
        " AND hold_id IS NULL AND state NOT IN ('ignored', 'kept')"
        " AND (absent = 1 OR state IN ('pending', 'stale')) LIMIT 1",
        (folder_id, path, low, high),
    ).fetchone()
    return row is not None
