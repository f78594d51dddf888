"""Is what the index knows of a path still so? The stamp says it at once; where it differs, the bytes do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.errors import SourceError
from fileferry.local.reader import digest, open_source

if TYPE_CHECKING:
    import sqlite3


def is_fresh(row: sqlite3.Row) -> bool:
    """Say whether the id of an entry holds the bytes that are at its path now. Reads the file if it has to.

    Links that stay in the folder are followed, as whoever opens the path would.
    """
    algorithm, _, _ = str(row["digest"]).partition(":")
    try:
        with open_source(
            row["root"], row["path"], algorithm=algorithm, follow_inside=True
        ) as source:
            stamp = source.stamp
            known = (row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"], row["device"])
            same = known == (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode, stamp.device)
            if same and row["state"] == "synced" and row["due_at"] is None:
                return True
            return bool(stamp.size == row["held_size"] and digest(source) == row["digest"])
    except SourceError:
        return False
