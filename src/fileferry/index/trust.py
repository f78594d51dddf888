"""How far the index is to be trusted: after it was restored or moved, its ids may be gone, and others may use them.

Until an audit has passed no id of it is printed, and none is deleted. Two notes in `meta` say so, and what asks for
an audit that is due anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.index import folders
from fileferry.index.identity import UNAUDITED_KEY

if TYPE_CHECKING:
    import sqlite3

AUDIT_ASKED_KEY = "audit_asked"


def distrust(db: sqlite3.Connection) -> None:
    """Print and delete nothing until an audit has passed, and nothing that went until folders were scanned anew."""
    folders.set_meta(db, UNAUDITED_KEY, "1")
    db.execute("UPDATE folder SET scan_began_at = NULL, scan_ended_at = NULL")


def ask(db: sqlite3.Connection) -> None:
    """Have the remote audited at the next opportunity."""
    folders.set_meta(db, AUDIT_ASKED_KEY, "1")


def audited(db: sqlite3.Connection) -> None:
    """Note that an audit has passed."""
    folders.set_meta(db, UNAUDITED_KEY, None)
    folders.set_meta(db, AUDIT_ASKED_KEY, None)


def is_asked(db: sqlite3.Connection) -> bool:
    """Say whether something waits for an audit."""
    row = db.execute(
        "SELECT 1 FROM meta WHERE key IN (?, ?) LIMIT 1", (UNAUDITED_KEY, AUDIT_ASKED_KEY)
    ).fetchone()
    return row is not None
