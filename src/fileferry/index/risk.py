"""Ids that run out: for a while their renewal has been due, and nothing came of it.

Standard library only, and little of it: `status` reads it too.
"""

from __future__ import annotations

from fileferry.index.identity import shown

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Ask = Callable[[str, dict[str, float]], Iterable[Any]]

LATE_SHARE = 0.25
"""Of the time between when an id is due and its end: so much may pass before it is called late."""
MOST = 10_000
"""More than so many are not counted: a daemon asks every few seconds, and a million may be late."""

# CROSS JOIN: in this order, so that no more rows are looked at than are due.
_LATE = (
    " renew_at < :now AND :now - renew_at > :share * (expires_at - renew_at) AND EXISTS (SELECT 1 FROM entry"
    " JOIN folder ON folder.id = entry.folder_id WHERE held_id = content.id"
    " AND entry.state NOT IN ('ignored', 'kept') AND attachment = 'active')"
)
_COUNT = (
    "SELECT count(*) FROM (SELECT 1 FROM content CROSS JOIN remote ON remote.content_id = content.id"  # noqa: S608
    f" AND remote.state = 'live' WHERE {_LATE} LIMIT :most)"
)
_FIRST = (
    "SELECT expires_at, content.id, content.error FROM remote CROSS JOIN content ON content.id = remote.content_id"  # noqa: S608
    f" WHERE remote.state = 'live' AND expires_at IS NOT NULL AND {_LATE} ORDER BY expires_at LIMIT 1"
)
_PATH = (
    "SELECT folder.name, entry.path, entry.state, folder.halt, entry.error FROM entry"
    " JOIN folder ON folder.id = entry.folder_id WHERE held_id = :content"
    " AND entry.state NOT IN ('ignored', 'kept') AND attachment = 'active' LIMIT 1"
)


class Risk:
    """Ids that will run out unless something changes.

    Attributes:
        ids: how many; at most `MOST`, which says that there may be more.
        expires_at: when the first of them ends, server seconds.
        path: one that it answers for, `FOLDER:path`.
        reason: why it was not renewed, as far as known.
    """

    __slots__ = ("expires_at", "ids", "path", "reason")

    def __init__(self, ids: int, expires_at: float, path: str, reason: str) -> None:
        self.ids = ids
        self.expires_at = expires_at
        self.path = path
        self.reason = reason


def words(ids: int) -> str:
    """Return how many ids are at risk, for a person."""
    if ids == 1:
        return "1 id"
    return f"{ids:,} ids" + (" or more" if ids == MOST else "")


def look(ask: Ask, server_now: float, trouble: str | None = None) -> Risk | None:
    """Return what runs out, or None.

    Args:
        ask: runs a query.
        server_now: the server's wall seconds.
        trouble: why nothing at all can be sent, where that is known.
    """
    moment = {"now": server_now, "share": LATE_SHARE, "most": MOST}
    (ids,) = next(iter(ask(_COUNT, moment)))
    if not ids:
        return None
    expires_at, content_id, content_error = next(iter(ask(_FIRST, moment)))
    folder, path, state, halt, entry_error = next(iter(ask(_PATH, {"content": content_id})))
    reason = (
        _reason(state, halt, entry_error, content_error) or trouble or "its turn has not come yet"
    )
    return Risk(int(ids), float(expires_at), f"{folder}:{shown(path)}", reason)


def _reason(
    state: str, halt: str | None, entry_error: str | None, content_error: str | None
) -> str | None:
    if halt:
        return f"the folder is halted: {halt}"
    if state == "stale":
        return "its bytes are gone, and the new ones have no id yet"
    if state == "rejected":
        return f"its bytes are gone, and the new ones cannot be sent: {entry_error}"
    return entry_error or content_error
