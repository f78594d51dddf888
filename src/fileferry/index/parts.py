"""Uploads in parts: what was begun, which parts arrived, what is to be cancelled.

A row belongs to a content, not to a process: whoever sends the content next goes on with it. Nothing comes of an
Upload before `complete` was asked for, so a row that is `pending` needs no settling after a crash; from `completing`
on its intent does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.index import intents
from fileferry.model import Part

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = "id, upload_id, name, expires_seconds, life_seconds, part_bytes, expires_at, state"


@dataclass(frozen=True, slots=True)
class Parcel:
    """An Upload that was begun, or is about to be.

    Args:
        parcel_id: its row.
        upload_id: at the API; None: asked for, not yet answered.
        name: the file name that the API was told.
        expires_seconds: the life that the file was given, nonce and all; None for ever.
        life_seconds: the life that was asked for, without the nonce.
        part_bytes: of each part but the last.
        expires_at: when the API forgets the Upload, server seconds; None: not yet answered.
        state: `pending`, `completing` or `cancelling`.
    """

    parcel_id: int
    upload_id: str | None
    name: str
    expires_seconds: int | None
    life_seconds: int | None
    part_bytes: int
    expires_at: float | None
    state: str


def resumable(
    db: sqlite3.Connection, content_id: int, *, life_seconds: int | None, expires_after: float
) -> Parcel | None:
    """Return the Upload of a content that may go on: begun for the same life, and alive beyond a server second."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM upload WHERE content_id = ? AND state <> 'cancelling'"  # noqa: S608
        " AND upload_id IS NOT NULL AND life_seconds IS ? AND expires_at > ?",
        (content_id, life_seconds, expires_after),
    ).fetchone()
    return None if row is None else Parcel(*row)


def of_intent(db: sqlite3.Connection, intent_id: int) -> Parcel | None:
    """Return the Upload that an intent sends."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM upload WHERE intent_id = ? AND state <> 'cancelling'",  # noqa: S608
        (intent_id,),
    ).fetchone()
    return None if row is None else Parcel(*row)


def of_row(db: sqlite3.Connection, parcel_id: int) -> Parcel | None:
    """Return an Upload by its row."""
    row = db.execute(f"SELECT {_COLUMNS} FROM upload WHERE id = ?", (parcel_id,)).fetchone()  # noqa: S608
    return None if row is None else Parcel(*row)


def take_over(db: sqlite3.Connection, parcel_id: int, intent_id: int) -> None:
    """Have an Upload that was left go on under another intent, which answers for all of it from now on."""
    (earlier_id,) = db.execute("SELECT intent_id FROM upload WHERE id = ?", (parcel_id,)).fetchone()
    intents.continue_in(db, earlier_id, intent_id)
    db.execute("UPDATE upload SET intent_id = ? WHERE id = ?", (intent_id, parcel_id))


def announce(
    db: sqlite3.Connection,
    *,
    content_id: int,
    intent_id: int,
    name: str,
    expires_seconds: int | None,
    life_seconds: int | None,
    part_bytes: int,
) -> None:
    """Record an Upload that is about to be begun; what was left of an earlier one is to be cancelled."""
    doom(db, content_id)
    db.execute(
        "INSERT INTO upload (content_id, intent_id, name, expires_seconds, life_seconds, part_bytes, state)"
        " VALUES (?, ?, ?, ?, ?, ?, 'pending')",
        (content_id, intent_id, name, expires_seconds, life_seconds, part_bytes),
    )


def begun(db: sqlite3.Connection, parcel_id: int, *, upload_id: str, expires_at: float) -> None:
    """Record what the API answered."""
    db.execute(
        "UPDATE upload SET upload_id = ?, expires_at = ? WHERE id = ?",
        (upload_id, expires_at, parcel_id),
    )


def arrived(db: sqlite3.Connection, parcel_id: int, number: int, part: Part) -> None:
    """Record a part; what gets on has not failed."""
    db.execute(
        "INSERT OR REPLACE INTO part (parcel_id, number, part_id, digest) VALUES (?, ?, ?, ?)",
        (parcel_id, number, part.part_id, part.digest),
    )
    db.execute(
        "UPDATE content SET attempts = 0 WHERE id = (SELECT content_id FROM upload WHERE id = ?)",
        (parcel_id,),
    )


def all_arrived(db: sqlite3.Connection, parcel_id: int) -> dict[int, Part]:
    """Return the parts that arrived, by number."""
    rows = db.execute("SELECT number, part_id, digest FROM part WHERE parcel_id = ?", (parcel_id,))
    return {int(number): Part(part_id, digest) for number, part_id, digest in rows}


def completing(db: sqlite3.Connection, parcel_id: int) -> None:
    """Record that `complete` is about to be asked for: from here on a file may come of it."""
    db.execute("UPDATE upload SET state = 'completing' WHERE id = ?", (parcel_id,))


def doom(db: sqlite3.Connection, content_id: int) -> None:
    """Have the Upload of a content cancelled, if there is one; one without an id cannot be, and ends by itself."""
    db.execute("DELETE FROM upload WHERE content_id = ? AND upload_id IS NULL", (content_id,))
    db.execute(
        "UPDATE upload SET state = 'cancelling', retry_at = 0 WHERE content_id = ? AND state <> 'cancelling'",
        (content_id,),
    )


def doom_unwanted(db: sqlite3.Connection, *, server_now: float) -> None:
    """Have cancelled what nobody sends any more, and forget what ended by itself."""
    db.execute("DELETE FROM upload WHERE expires_at <= ?", (server_now,))
    db.execute(
        f"UPDATE upload SET state = 'cancelling', retry_at = 0 WHERE state <> 'cancelling' AND {_IDLE}"  # noqa: S608
    )


def doomed(db: sqlite3.Connection, *, now: float) -> list[tuple[int, str, int]]:
    """Return the Uploads whose cancel is due at a wall second: row, id, attempts."""
    rows = db.execute(
        "SELECT id, upload_id, attempts FROM upload WHERE state = 'cancelling' AND retry_at <= ?",
        (now,),
    )
    return [(int(row[0]), str(row[1]), int(row[2])) for row in rows]


def cancel_failed(db: sqlite3.Connection, parcel_id: int, *, until: float) -> None:
    """Record that a cancel has to be repeated, at a wall second."""
    db.execute(
        "UPDATE upload SET retry_at = ?, attempts = attempts + 1 WHERE id = ?", (until, parcel_id)
    )


def forget(db: sqlite3.Connection, parcel_id: int) -> None:
    """Remove an Upload that is over."""
    db.execute("DELETE FROM upload WHERE id = ?", (parcel_id,))


def cancel_at(db: sqlite3.Connection) -> float | None:
    """Return the wall second at which there is something to cancel, or None."""
    moment = db.execute(
        "SELECT min(CASE WHEN state = 'cancelling' THEN retry_at ELSE 0 END) FROM upload"  # noqa: S608
        f" WHERE state = 'cancelling' OR {_IDLE}"
    ).fetchone()[0]
    return None if moment is None else float(moment)


_IDLE = (
    "EXISTS (SELECT 1 FROM content WHERE id = upload.content_id AND due_at IS NULL AND renew_at IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM intent WHERE id = upload.intent_id AND state <> 'closed')"
)
