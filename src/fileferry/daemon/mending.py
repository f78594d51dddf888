"""What `repair` and `orphans --delete` change in the index: functions of `daemon.commands`, in one transaction each.

Nothing here is called lost or found: that is an audit's business, which asks the remote. What is mended is what no
pass would derive by itself, because a row does not say what it should.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from fileferry.index import contents, folders, remotes, trust, wants
from fileferry.model import RetireReason
from fileferry.plan import renewals

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_WORKED_ON = "folder_id IN (SELECT id FROM folder WHERE attachment = 'active')"
_AT_REST = "absent = 0 AND hold_id IS NULL AND state NOT IN ('ignored', 'kept')"


def repair(db: sqlite3.Connection, arguments: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Mend the rows of the index: `{reread: [[folder_id, base64], …]}` -> a count for each kind of damage.

    Asks for an audit too, which finds ids that are gone, and files of uploads that were never answered.
    """
    trust.ask(db)
    taken = _take_back(db, now)  # first: what is taken back is not without content
    return {
        "taken_back": taken,
        "read_again": sum(_read_again(db, place, now) for place in arguments.get("reread", ())),
        "without_content": _without_content(db, now),
        "sent_again": _sent_again(db, now),
        "deletes_repeated": _repeat_deletes(db, now),
        "renewals_planned": _plan_renewals(db),
    }


def delete_orphans(
    db: sqlite3.Connection, arguments: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """Give up matched ids that somebody chose: `{ids}` -> `{deletes}`. None that a path points at."""
    deletes = 0
    for file_id in arguments.get("ids", ()):
        deletes += db.execute(
            "UPDATE remote SET proof = 'proven', state = 'retiring', reason = ?1, folder_id = NULL,"
            " retired_at = ?2, delete_at = ?2 WHERE file_id = ?3 AND proof = 'matched'"
            " AND (state = 'retiring' OR (state = 'live'"
            " AND NOT EXISTS (SELECT 1 FROM entry WHERE held_id = remote.content_id)"
            " AND NOT EXISTS (SELECT 1 FROM entry WHERE want_id = remote.content_id)))",
            (RetireReason.FORGOTTEN, now, str(file_id)),
        ).rowcount
    return {"deletes": deletes}


def _read_again(db: sqlite3.Connection, place: Any, now: float) -> int:
    """Have a path read whose bytes changed under the same stamp: what it holds stays until that has an id."""
    folder_id, text = place
    cursor = db.execute(
        "UPDATE entry SET due_at = ?, want_id = NULL, attempts = 0 WHERE folder_id = ? AND path = ? AND absent = 0",
        (now, int(folder_id), base64.b64decode(text)),
    )
    return int(cursor.rowcount)


def _without_content(db: sqlite3.Connection, now: float) -> int:
    """Have paths read that say they are done, or wait, and have nothing to show for it."""
    cursor = db.execute(
        "UPDATE entry SET due_at = ?, want_id = NULL, attempts = 0, unsettled_at = NULL,"  # noqa: S608
        " state = CASE WHEN held_id IS NULL THEN 'pending' ELSE 'stale' END"
        f" WHERE {_WORKED_ON} AND {_AT_REST} AND due_at IS NULL AND ("
        " (state = 'synced' AND (held_id IS NULL OR NOT EXISTS"
        "   (SELECT 1 FROM remote WHERE content_id = entry.held_id AND state = 'live')))"
        " OR (state IN ('pending', 'stale', 'error', 'unknown') AND want_id IS NULL))",
        (now,),
    )
    return int(cursor.rowcount)


def _sent_again(db: sqlite3.Connection, now: float) -> int:
    """Have contents sent that paths wait for, and that nothing would send."""
    before = db.total_changes
    for row in folders.all_rows(db):
        if row.attachment == "active":
            wants.call_again(db, row.folder_id, now=now)
    sent = db.total_changes - before
    # What failed often waits for up to an hour; somebody who repairs does not.
    cursor = db.execute(
        "UPDATE content SET due_at = ?1, attempts = 0 WHERE due_at > ?1"
        " AND id IN (SELECT want_id FROM entry WHERE want_id IS NOT NULL)",
        (now,),
    )
    return sent + int(cursor.rowcount)


def _repeat_deletes(db: sqlite3.Connection, now: float) -> int:
    cursor = db.execute(
        "UPDATE remote SET delete_at = ?, attempts = 0 WHERE state = 'deleting' AND proof = 'proven'",
        (now,),
    )
    return int(cursor.rowcount)


def _take_back(db: sqlite3.Connection, now: float) -> int:
    """Take ids back that are on their way out though their bytes are there again."""
    taken = 0
    for (content_id,) in db.execute(
        "SELECT DISTINCT content_id FROM remote WHERE state = 'retiring' AND content_id IS NOT NULL"
    ).fetchall():
        if not remotes.is_used(db, content_id):
            continue
        facts = contents.facts(db, content_id, server_now=now)
        if facts.live:
            # A younger id answers for these bytes; this one goes as any that was replaced.
            db.execute(
                "UPDATE remote SET reason = ? WHERE content_id = ? AND state = 'retiring' AND reason IN (?, ?)",
                (RetireReason.RENEWED, content_id, *remotes.TAKEN_BACK),
            )
        elif facts.revivable:
            remotes.revive(db, content_id, server_now=now)
            contents.settle(db, content_id, now=now, revived=True)
            taken += 1
    return taken


def _plan_renewals(db: sqlite3.Connection) -> int:
    """Plan what has no plan: a live id that expires, of a content that is used."""
    rows = db.execute(
        "SELECT content.id, remote.created_at, remote.expires_at FROM content"
        " JOIN remote ON remote.content_id = content.id AND remote.state = 'live'"
        " WHERE remote.expires_at IS NOT NULL AND content.renew_at IS NULL"
    ).fetchall()
    planned = 0
    for content_id, created_at, expires_at in rows:
        if remotes.is_used(db, content_id):
            at = renewals.renew_at(created_at=created_at, expires_at=expires_at)
            contents.plan_renewal(db, content_id, at)
            planned += 1
    return planned


__all__ = ["delete_orphans", "repair"]
