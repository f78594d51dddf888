"""What tells an index of ours from any other SQLite file. No imports: readers start with it."""

from __future__ import annotations

APPLICATION_ID = 0x66657272  # "ferr"
SCHEMA_VERSION = 1
FILE_NAME = "index.db"


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
