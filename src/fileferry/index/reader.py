"""Reading the index: what the command line and other programs use, beside a daemon or without one.

Standard library only, and little of it: `fileferry id` is started by the thousand. No dataclasses, no typing.
Expiry is checked against the clock that the caller gives and what was heard of the server's, so that an id which the
server has deleted by itself is never printed.
"""

from __future__ import annotations

import os
import sqlite3

from fileferry.errors import IndexDamaged, NotInitialised, UnknownPath
from fileferry.index.identity import (
    APPLICATION_ID,
    FILE_NAME,
    SCHEMA_VERSION,
    SKEW_KEY,
    display_text,
)
from fileferry.index.mark import CHANGES, marked

TYPE_CHECKING = False  # the real one lives in typing, which costs as much as a query
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

BUSY_SECONDS = 10.0
SKEW = f"COALESCE((SELECT CAST(value AS REAL) FROM meta WHERE key = '{SKEW_KEY}'), 0.0)"  # noqa: S608
_ENTRY = (
    "SELECT entry.state AS state, remote.file_id AS file_id, remote.expires_at AS expires_at,"  # noqa: S608
    " COALESCE(entry.error, want.error) AS error, entry.size AS size, entry.mtime_ns AS mtime_ns,"
    " entry.ctime_ns AS ctime_ns, entry.inode AS inode, entry.device AS device, entry.due_at AS due_at,"
    " entry.absent AS absent, held.digest AS digest, held.size AS held_size, held.purpose AS purpose,"
    " remote.name AS remote_name, folder.name AS folder, folder.root AS root, entry.path AS path,"
    " entry.folder_id AS folder_id,"
    # Not to be trusted before an audit: it was restored, or is an older copy that was written over the index.
    f" EXISTS (SELECT 1 FROM meta WHERE key = 'unaudited') OR {CHANGES} < {{mark}} AS unaudited,"
    f" {SKEW} AS skew"
    " FROM entry JOIN folder ON folder.id = entry.folder_id"
    " LEFT JOIN content AS held ON held.id = entry.held_id"
    " LEFT JOIN content AS want ON want.id = entry.want_id"
    " LEFT JOIN remote ON remote.content_id = entry.held_id AND remote.state = 'live'"
)


class Reader:
    """A read-only view of one index; closes with `close`, or as a context."""

    def __init__(self, directory: str) -> None:
        """Open the index in a state directory.

        Raises:
            NotInitialised: there is none yet.
            IndexDamaged: it is none of ours, or cannot be read.
        """
        self.path = os.path.join(directory, FILE_NAME)
        if not os.path.exists(self.path):
            if os.path.isdir(directory) and not os.access(directory, os.X_OK):
                raise NotInitialised(
                    f"index `{self.path}` may not be read by this user",
                    hint="set [state] group to a group of this user, and restart the daemon",
                )
            raise NotInitialised(
                f"there is no index at `{self.path}` yet",
                hint="start with `fileferry sync`, or `fileferry run`",
            )
        self._db = _open(self.path)
        try:
            identity = self._db.execute("PRAGMA application_id").fetchone()[0]
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise _unreadable(self.path, error) from error
        if identity != APPLICATION_ID:
            self._db.close()
            if identity == 0 and version == 0:
                raise NotInitialised(
                    f"index `{self.path}` is not made yet", hint="run `fileferry sync`"
                )
            raise IndexDamaged(f"`{self.path}` is no index of fileferry")
        if version > SCHEMA_VERSION:
            self._db.close()
            raise IndexDamaged(
                f"index `{self.path}` was made by a newer fileferry (schema {version})",
                hint="use that one to read it",
            )
        self._db.row_factory = sqlite3.Row
        # Read before any row: what the index logs is committed first, and then marked.
        self._entry = _ENTRY.format(mark=marked(directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def rows(self, sql: str, arguments: Any = ()) -> Iterator[sqlite3.Row]:
        """Run a query."""
        try:
            # No `yield from`: it would close the cursor, after its connection maybe.
            for row in self._db.execute(sql, arguments):  # noqa: UP028
                yield row
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error

    def locate(self, text: str, cwd: str) -> tuple[int, bytes]:
        """Find the folder of a path and the path in it.

        Args:
            text: absolute, relative to `cwd`, or `FOLDER:relative/path`.
            cwd: the current directory.

        Raises:
            UnknownPath: it is in no folder of this index.
        """
        folders = list(self.rows("SELECT id, name, root FROM folder ORDER BY length(root) DESC"))
        name, colon, relative = text.partition(":")
        for folder in folders:
            if colon and folder["name"] == name:
                return folder["id"], os.path.normpath(b"/" + os.fsencode(relative)).strip(b"/")
        path = os.fsencode(os.path.normpath(os.path.join(cwd, os.path.expanduser(text))))
        for candidate in (
            path,
            os.path.realpath(os.path.dirname(path)) + b"/" + os.path.basename(path),
        ):
            for folder in folders:
                root = folder["root"]
                if candidate == root:
                    return folder["id"], b""
                if candidate.startswith(root.rstrip(b"/") + b"/"):
                    return folder["id"], candidate[len(root.rstrip(b"/")) + 1 :]
        raise UnknownPath(
            f"`{text}` is in no folder of this index",
            hint="`fileferry status` names the folders; a PATH may also be FOLDER:relative/path",
        )

    def entry(self, folder_id: int, path: bytes) -> sqlite3.Row | None:
        """Return what is known of one path, or None; one that is not UTF-8 may be given as it is shown."""
        found = self.rows(
            f"{self._entry} WHERE entry.folder_id = ? AND entry.path = ?", (folder_id, path)
        )
        row = next(found, None)
        if row is None and b"\\x" in path:
            shown = path.decode("utf-8", "backslashreplace")
            where = (
                "entry.folder_id = ? AND COALESCE(entry.path_text, CAST(entry.path AS TEXT)) = ?"
            )
            row = next(self.rows(f"{self._entry} WHERE {where}", (folder_id, shown)), None)
        return row

    def below(self, folder_id: int | None, path: bytes = b"") -> Iterator[sqlite3.Row]:
        """Return every entry at or below a path, in order; of all folders when `folder_id` is None."""
        low, high = (path + b"/", path + b"0") if path else (b"", b"\xff" * 8)
        where = "((entry.path >= :low AND entry.path < :high) OR entry.path = :path)"
        if folder_id is not None:
            where += " AND entry.folder_id = :folder_id"
        return self.rows(
            f"{self._entry} WHERE {where} ORDER BY folder.name, entry.path",
            {"low": low, "high": high, "path": path, "folder_id": folder_id},
        )

    def paths_of(self, file_id: str) -> list[str]:
        """Return the absolute paths that an id stands for.

        Raises:
            UnknownPath: this index has never seen the id.
        """
        row = next(
            self.rows("SELECT content_id, state FROM remote WHERE file_id = ?", (file_id,)), None
        )
        if row is None:
            raise UnknownPath(f"`{file_id}` is not in this index")
        if row["state"] != "live":
            raise UnknownPath(f"`{file_id}` stands for nothing any more: it is {row['state']}")
        return [
            shown_path(found["root"], found["path"])
            for found in self.rows(
                "SELECT folder.root AS root, entry.path AS path FROM entry JOIN folder ON folder.id = entry.folder_id"
                " WHERE held_id = ? ORDER BY folder.name, entry.path",
                (row["content_id"],),
            )
        ]


def answer(row: sqlite3.Row, now: float) -> str | None:
    """Return the id that may be printed for an entry, or None.

    Args:
        row: from `entry` or `below`.
        now: wall seconds: an id that has expired meanwhile, by the server's clock as it was heard last, is not
            printed.
    """
    file_id: str | None = row["file_id"]
    expires_at = row["expires_at"]
    if file_id is None or row["state"] == "ignored" or row["unaudited"]:
        return None
    return None if expires_at is not None and expires_at <= now + row["skew"] else file_id


def shown_path(root: bytes, path: bytes) -> str:
    """Return an absolute path as text, odd bytes as hex digits."""
    whole = root.rstrip(b"/") + b"/" + path if path else root
    return display_text(whole) or whole.decode()


def _open(path: str) -> sqlite3.Connection:
    quoted = "".join(
        chr(byte) if chr(byte).isalnum() or chr(byte) in "/._-~" else f"%{byte:02X}"
        for byte in os.fsencode(os.path.abspath(path))
    )
    try:
        db = sqlite3.connect(
            f"file:{quoted}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        db.execute("PRAGMA query_only = ON")
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error
    return db


def _unreadable(path: str, error: sqlite3.DatabaseError) -> IndexDamaged:
    return IndexDamaged(
        f"index `{path}` cannot be read: {error}",
        hint="if a daemon was killed, start it again; if the file is damaged, `fileferry rebuild`",
    )
