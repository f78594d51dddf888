"""A note beside the index that says how far it had come: one that has fewer changes is an older copy of it.

Standard library only, and little of it: readers look at it too.
"""

from __future__ import annotations

import os

from fileferry.index.identity import FILE_NAME

MARK_NAME = f"{FILE_NAME}.mark"
CHANGES = "COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'change_log'), 0)"
"""SQL: how many changes an index has ever logged."""


def marked(state_directory: str) -> int:
    """Return how many changes the index of a state directory had logged at least; 0 where nothing says so."""
    try:
        with open(os.path.join(state_directory, MARK_NAME), encoding="ascii") as file:
            text = file.read(32).strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() else 0
