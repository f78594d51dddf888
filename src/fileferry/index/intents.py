"""Intents: the record, written ahead, of each upload; so that none happens twice, or is lost, whatever happens.

An intent is open while its call runs. When the answer is lost, or the process is killed, it is `unknown` until
listings settle it: found, or missed by two listings, the second `list_lag` after the answer was given up. Closed
intents are remembered for a day, so that a file that turns up late is claimed and removed.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from fileferry.model import Stamp

if TYPE_CHECKING:
    import sqlite3

REMEMBERED_SECONDS = 86_400.0
_IN_PARTS = "state = 'open' AND id IN (SELECT intent_id FROM upload WHERE state <> 'completing')"
_UNKNOWN = "state <> 'closed' AND state = 'unknown'"  # said so that SQLite finds the index of what is not closed
_COLUMNS = (
    "id, content_id, name, size, purpose, expires_seconds, state, opened_at, begun_at, unknown_at,"
    " absences, closed_at, spoilt, read_folder_id, read_path, read_stamp"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A file whose bytes are read while they are sent, and its stamp when they were planned.

    Whether what was sent is what was planned is known when both have been compared, or when the file still has that
    stamp: then nobody wrote to it in between.
    """

    folder_id: int
    path: bytes
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Intent:
    """An upload that was begun, and given up.

    `opened_at` is in server seconds, as far as known, and `begun_at` the same moment in wall seconds, like the rest.
    `reading` is None where the bytes were compared with what was planned; they are not the same if it is `spoilt`.
    """

    intent_id: int
    content_id: int
    name: str
    size: int
    purpose: str
    expires_seconds: int | None
    state: str
    opened_at: float
    begun_at: float
    unknown_at: float
    absences: int
    closed_at: float | None
    spoilt: bool
    reading: Reading | None


def open_one(
    db: sqlite3.Connection,
    *,
    content_id: int,
    name: str,
    size: int,
    purpose: str,
    expires_seconds: int | None,
    server_now: float,
    now: float,
    reading: Reading | None = None,
) -> int | None:
    """Record an upload that is about to begin; None when one with the same name, size and purpose is in flight.

    Args:
        reading: the file that is read while it is sent; None: its bytes were read, and compared with what was planned.
    """
    busy = db.execute(
        "SELECT 1 FROM intent WHERE state <> 'closed' AND ((name = ? AND size = ? AND purpose = ?) OR content_id = ?)",
        (name, size, purpose, content_id),
    ).fetchone()
    if busy is not None:
        return None
    cursor = db.execute(
        "INSERT INTO intent (content_id, name, size, purpose, expires_seconds, state, opened_at, begun_at,"
        " read_folder_id, read_path, read_stamp) VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?) RETURNING id",
        (
            content_id,
            name,
            size,
            purpose,
            expires_seconds,
            server_now,
            now,
            None if reading is None else reading.folder_id,
            None if reading is None else reading.path,
            None if reading is None else json.dumps(astuple(reading.stamp)),
        ),
    )
    return int(cursor.fetchone()[0])


def used_expiries(db: sqlite3.Connection, *, name: str, size: int, purpose: str) -> frozenset[int]:
    """Return the lives that remembered intents alike were sent with: a new one needs another, to be told apart."""
    rows = db.execute(
        "SELECT expires_seconds FROM intent WHERE name = ? AND size = ? AND purpose = ?"
        " AND expires_seconds IS NOT NULL",
        (name, size, purpose),
    )
    return frozenset(int(row[0]) for row in rows)


def close(
    db: sqlite3.Connection, intent_id: int, outcome: str, *, now: float, file_id: str | None = None
) -> None:
    """Record how an upload ended: `done`, `not sent`, `refused` or `none`; see `continue_in` for `continued`."""
    db.execute(
        "UPDATE intent SET state = 'closed', outcome = ?, closed_at = ?, file_id = ? WHERE id = ?",
        (outcome, now, file_id, intent_id),
    )
    if outcome == "done":
        db.execute("DELETE FROM upload WHERE intent_id = ?", (intent_id,))


def continue_in(db: sqlite3.Connection, earlier_id: int, intent_id: int) -> None:
    """Let an intent answer for all that an earlier one has begun, from its beginning: what comes of it is one file."""
    db.execute(
        "UPDATE intent SET (opened_at, begun_at) = (SELECT opened_at, begun_at FROM intent WHERE id = ?) WHERE id = ?",
        (earlier_id, intent_id),
    )
    db.execute("UPDATE intent SET outcome = 'continued' WHERE id = ?", (earlier_id,))


def give_up(db: sqlite3.Connection, intent_id: int, *, now: float) -> None:
    """Record that the answer to an upload was lost: it may exist."""
    db.execute(
        "UPDATE intent SET state = 'unknown', unknown_at = ?, absences = 0 WHERE id = ?",
        (now, intent_id),
    )


def compared(db: sqlite3.Connection, intent_id: int, *, is_same: bool) -> None:
    """Record whether the bytes that were sent are those that were planned."""
    db.execute(
        "UPDATE intent SET spoilt = ?, read_folder_id = NULL, read_path = NULL, read_stamp = NULL WHERE id = ?",
        (not is_same, intent_id),
    )


def give_up_all(db: sqlite3.Connection, *, now: float) -> int:
    """At a start: what was open when the process ended has an unknown outcome. Return how many.

    Except for parts that nobody asked to complete: nothing can have come of them, and they go on where they were.
    """
    db.execute(
        f"UPDATE intent SET state = 'closed', outcome = 'not sent', closed_at = ? WHERE {_IN_PARTS}",  # noqa: S608
        (now,),
    )
    return int(
        db.execute(
            "UPDATE intent SET state = 'unknown', unknown_at = ? WHERE state = 'open'", (now,)
        ).rowcount
    )


def give_up_others(db: sqlite3.Connection, *, sending: frozenset[int], now: float) -> int:
    """After a crash within the process: what is open and nobody is sending has an unknown outcome. Return how many."""
    abandoned = [
        intent_id
        for intent_id, content_id in db.execute(
            "SELECT id, content_id FROM intent WHERE state <> 'closed' AND state = 'open'"
        ).fetchall()
        if content_id not in sending
    ]
    for intent_id in abandoned:
        in_parts = f"SELECT 1 FROM intent WHERE id = ? AND {_IN_PARTS}"  # noqa: S608
        if db.execute(in_parts, (intent_id,)).fetchone():
            close(db, intent_id, "not sent", now=now)
        else:
            give_up(db, intent_id, now=now)
    return len(abandoned)


def unknown(db: sqlite3.Connection) -> list[Intent]:
    """Return the intents that only a listing can settle."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM intent WHERE {_UNKNOWN} ORDER BY +id")  # noqa: S608
    return [_intent(row) for row in rows]


def unanswered(db: sqlite3.Connection) -> list[Intent]:
    """Return the closed intents whose file may still turn up: given up as absent less than a day ago.

    Not while a later try is in flight or unknown: what turns up may be what that one has made.
    """
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM intent AS given_up WHERE state = 'closed' AND outcome = 'none' AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM intent AS later WHERE later.state <> 'closed' AND later.name = given_up.name"
        " AND later.size = given_up.size AND later.purpose = given_up.purpose)"
    )
    return [_intent(row) for row in rows]


def count_unknown(db: sqlite3.Connection) -> int:
    """Return how many intents only a listing can settle."""
    return int(db.execute(f"SELECT count(*) FROM intent WHERE {_UNKNOWN}").fetchone()[0])  # noqa: S608


def missed(db: sqlite3.Connection, intent_id: int) -> None:
    """Record that one more listing did not show it."""
    db.execute("UPDATE intent SET absences = absences + 1 WHERE id = ?", (intent_id,))


def prune(db: sqlite3.Connection, *, now: float) -> None:
    """Forget what was closed more than a day ago."""
    db.execute(
        "DELETE FROM intent WHERE state = 'closed' AND closed_at < ?", (now - REMEMBERED_SECONDS,)
    )


def known_ids(db: sqlite3.Connection) -> frozenset[str]:
    """Return every id that the index has ever recorded and still remembers."""
    return frozenset(str(row[0]) for row in db.execute("SELECT file_id FROM remote"))


def opened_since(db: sqlite3.Connection, server_now: float) -> list[float]:
    """Return when uploads were begun that were begun after a server second."""
    rows = db.execute("SELECT opened_at FROM intent WHERE opened_at > ?", (server_now,))
    return [float(row[0]) for row in rows]


def _intent(row: tuple[Any, ...]) -> Intent:
    *facts, spoilt, folder_id, path, stamp = row
    reading = None if path is None else Reading(folder_id, path, Stamp(*json.loads(stamp)))
    return Intent(*(*facts, bool(spoilt), reading))
