"""The guards: how much may go, or be sent, before a person is asked.

Deletes: over `delete_budget` files in 24 hours, and over a tenth or a thousand of the folder's, wait for
`approve`. Uploads: what first contact or a change of rules would send, over `upload_budget` bytes or 50,000 files,
waits too. Edits never count.
"""

from __future__ import annotations

WINDOW_SECONDS = 86_400.0
SHARE = 0.10
MANY_FILES = 1_000
UPLOAD_FILES = 50_000


def deletes_held(*, leaving: int, left: int, total: int, budget: int, held: int = 0) -> str | None:
    """Return why remote files may not go now, or None when they may.

    Args:
        leaving: remote files that would go now, after renames and copies were matched.
        left: those of the same folder that went in the last 24 hours.
        total: remote files that the folder had before both.
        budget: how many may always go.
        held: those that earlier sets hold back; they are told, and decide nothing.
    """
    if leaving == 0:
        return None
    going = leaving + left
    if going <= budget:
        return None
    besides = f"; {held:,} more are held already" if held else ""
    if going > MANY_FILES:
        return f"{going:,} files in 24 hours are more than {MANY_FILES:,}{besides}"
    if going > SHARE * total:
        counted = f"{going:,} of {total:,} files in 24 hours are more than {budget:,} and a tenth"
        return counted + besides
    return None


def uploads_held(*, files: int, size: int, budget_bytes: int) -> str | None:
    """Return why a first contact may not send, or None when it may.

    Args:
        files: how many files have no id yet.
        size: their bytes together.
        budget_bytes: what may be sent unasked; 0 means any number of files and bytes.
    """
    if budget_bytes == 0:
        return None
    if size > budget_bytes:
        return f"{size:,} bytes are more than the upload budget of {budget_bytes:,}"
    if files > UPLOAD_FILES:
        return f"{files:,} files are more than {UPLOAD_FILES:,}"
    return None


def too_many_lost(*, missing: int, total: int, budget: int) -> bool:
    """Say whether so many ids vanished at once that the remote is more likely to be the wrong one."""
    return deletes_held(leaving=missing, left=0, total=total, budget=budget) is not None
