"""What a listing knows better than the index: what has run out, when an id ends, and which delete was none.

The answer to an upload may leave `expires_at` out, though one was asked for, and an answer to a delete may come from
something between us and the API. What the API lists, later than either, is what holds.

Source: the File object of the API reference, whose `expires_at` is optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.index import contents, remotes
from fileferry.plan import renewals

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Container, Iterable

    from fileferry.model import RemoteFile


def lose_expired(
    db: sqlite3.Connection, listed: Container[str], *, server_now: float, now: float
) -> int:
    """Record as lost what the server must have deleted by itself, and does not list; return how many ids."""
    rows = db.execute(
        "SELECT file_id FROM remote WHERE state = 'live' AND expires_at <= ?", (server_now,)
    ).fetchall()
    gone = [file_id for (file_id,) in rows if file_id not in listed]
    for file_id in gone:
        remotes.lose(db, file_id, now=now)
    return len(gone)


def learn_ends(db: sqlite3.Connection, files: Iterable[RemoteFile]) -> list[str]:
    """Take over when live ids end, where that is not as recorded, and plan their renewal by it; return those ids.

    Args:
        files: as the API lists them. One that says nothing of an end changes nothing.
    """
    ends = {file.file_id: file.expires_at for file in files if file.expires_at is not None}
    if not ends:
        return []
    learned = []
    rows = db.execute(
        "SELECT file_id, content_id, created_at, expires_at FROM remote WHERE state = 'live'"
    ).fetchall()
    for file_id, content_id, created_at, expires_at in rows:
        end = ends.get(file_id, expires_at)
        if end == expires_at:
            continue
        db.execute("UPDATE remote SET expires_at = ? WHERE file_id = ?", (end, file_id))
        if remotes.is_used(db, content_id):
            at = renewals.renew_at(created_at=created_at, expires_at=end)
            contents.plan_renewal(db, content_id, at)
        learned.append(str(file_id))
    return learned


def repeat_deletes(
    db: sqlite3.Connection, listed: Container[str], *, now: float, before: float
) -> list[str]:
    """Have deletes repeated of what is listed though it was deleted; return those ids.

    Args:
        listed: the ids that the API lists.
        now: wall seconds.
        before: wall seconds: a delete after that may not show in the listing yet.
    """
    rows = db.execute(
        "SELECT file_id FROM remote WHERE state = 'deleted' AND proof = 'proven' AND ended_at < ?",
        (before,),
    ).fetchall()
    there = [str(file_id) for (file_id,) in rows if file_id in listed]
    for file_id in there:
        db.execute(
            "UPDATE remote SET state = 'deleting', delete_at = ?, attempts = 0, ended_at = NULL WHERE file_id = ?",
            (now, file_id),
        )
    return there
