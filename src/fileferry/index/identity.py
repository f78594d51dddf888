"""What tells an index of ours from any other SQLite file. No imports: readers start with it."""

from __future__ import annotations

APPLICATION_ID = 0x66657272  # "ferr"
SCHEMA_VERSION = 1
FILE_NAME = "index.db"
UNAUDITED_KEY = (
    "unaudited"  # in `meta` of an index that was restored or moved, until an audit has passed
)
# In `meta`: by how many seconds the server's clock was ahead of this machine's, and when that was heard.
SKEW_KEY = "server_skew"


def display_text(path: bytes) -> str | None:
    """Return how a path that is not UTF-8 is shown, each odd byte as two hex digits; else None."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return path.decode("utf-8", "backslashreplace")
    return None


def shown(path: bytes) -> str:
    """Return a path as text, whatever its bytes."""
    return path.decode("utf-8", "backslashreplace")
