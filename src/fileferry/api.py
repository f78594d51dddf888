"""The index for other people's scripts: read-only, beside a daemon or without one, and without the SDK.

Example:
    from fileferry import Index

    with Index.open() as index:
        file_id = index.file_id("~/handbook/a.pdf")
        parts = index.input("~/handbook/a.pdf", "handbook:plan.png")
        for file in index.files("handbook:2024/"):
            print(file.path, file.file_id)

A path is absolute, relative to the current directory, begins with `~`, or is `FOLDER:relative/path`. Every exception
is a `fileferry.errors.FerryError`. An Index belongs to the thread that opened it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.errors import NotInSync, SomeFailed, UnknownPath
from fileferry.index.identity import shown
from fileferry.index.reader import Reader, answer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from typing import Self

_PICTURES = (".png", ".jpeg", ".jpg", ".webp", ".gif")
_CHANGES = (
    "SELECT seq, at, folder.name AS folder, path, event, old_file_id, new_file_id FROM change_log"
    " LEFT JOIN folder ON folder.id = change_log.folder_id WHERE seq > ? ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class File:
    """One path of the index.

    Args:
        folder: the name of its folder.
        root: the folder's directory.
        path: relative to it; odd bytes as hex digits.
        file_id: what holds its bytes, or None.
        state: as `files.state` of the public index.
        digest: of the version that `file_id` holds, such as `xxh3_128:…`, or None.
        size: of that version, in bytes, or None.
        purpose: what it was sent for, or None.
        remote_name: what it is called at the API, or None.
        expires_at: when the API will delete it, RFC 3339, or None.
        error: why something could not be done, or None.
    """

    folder: str
    root: str
    path: str
    file_id: str | None
    state: str
    digest: str | None
    size: int | None
    purpose: str | None
    remote_name: str | None
    expires_at: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log of id changes; `folder` is None when that was forgotten since."""

    seq: int
    at: str
    folder: str | None
    path: str
    event: str
    old_file_id: str | None
    new_file_id: str | None


class Index:
    """A read-only view of one index; closes with `close`, or as a context."""

    def __init__(self, reader: Reader) -> None:
        """Use `Index.open`."""
        self._reader = reader

    @classmethod
    def open(cls, config: str | None = None, *, state_directory: str | None = None) -> Index:
        """Open the index that the command line would open.

        Args:
            config: a configuration file; None for the usual one.
            state_directory: where the index is, without asking any configuration.

        Raises:
            NotInitialised: there is no index yet.
            IndexDamaged: it cannot be read.
        """
        if state_directory is None:
            from fileferry.config.source import state_directory as configured

            state_directory = configured(config, os.environ)
        return cls(Reader(os.path.expanduser(state_directory)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def file_id(self, path: str | os.PathLike[str], *, fresh: bool = False) -> str:
        """Return the id that holds the bytes at a path.

        Args:
            path: which file.
            fresh: only when it holds the bytes that are there now; reads the file if it has to.

        Raises:
            UnknownPath: it is not in the index, or is ignored.
            SomeFailed: it cannot be uploaded as it is.
            NotInSync: it has no id yet, or with `fresh` not the present one.
        """
        text = os.fspath(path)
        row = self._row(text)
        file_id = answer(row, _now())
        if row["state"] == "ignored":
            raise UnknownPath(f"`{text}` is ignored", hint="`fileferry check-ignore` says why")
        if row["state"] == "rejected" or (row["state"] == "kept" and file_id is None):
            why = row["error"] or "it was discarded from a held upload"
            raise SomeFailed(
                f"`{text}` is not uploaded: {why}", hint="`fileferry retry` tries again"
            )
        if file_id is None:
            raise NotInSync(f"`{text}` has no id yet", hint=row["error"])
        if fresh:
            from fileferry.daemon.fresh import is_fresh

            if not is_fresh(row):
                raise NotInSync(f"the id of `{text}` holds an older version")
        return file_id

    def entry(self, path: str | os.PathLike[str]) -> File:
        """Return all that is known of a path.

        Raises:
            UnknownPath: it is not in the index.
        """
        return _file(self._row(os.fspath(path)), _now())

    def paths(self, file_id: str) -> list[str]:
        """Return the absolute paths that an id stands for.

        Raises:
            UnknownPath: the id is not in the index, or does not answer any more.
        """
        return self._reader.paths_of(file_id)

    def files(self, prefix: str = "") -> Iterator[File]:
        """Iterate over everything at or below a path, in order, without reading it all first.

        Args:
            prefix: a path, or `FOLDER:relative/path`; "" for all folders.

        Raises:
            UnknownPath: the prefix is in no folder.
        """
        places: list[tuple[int, bytes]]
        if prefix:
            places = [self._reader.locate(prefix, _cwd())]
        else:
            rows = self._reader.rows("SELECT id FROM folder ORDER BY name")
            places = [(row["id"], b"") for row in rows]
        now = _now()
        return (
            _file(row, now)
            for folder_id, path in places
            for row in self._reader.below(folder_id, path)
        )

    def input(self, *paths: str | os.PathLike[str]) -> list[dict[str, str]]:
        """Return the content parts of a Responses request for these paths.

        Raises:
            FerryError: as `file_id`, for the first path that has none.
        """
        return [
            {
                "type": "input_image"
                if os.fspath(path).lower().endswith(_PICTURES)
                else "input_file",
                "file_id": self.file_id(path),
            }
            for path in paths
        ]

    def changes(self, since_seq: int = 0) -> Iterator[Change]:
        """Iterate over the log of id changes that are younger than a sequence number, the oldest first."""
        for row in self._reader.rows(_CHANGES, (since_seq,)):
            yield Change(
                row["seq"],
                _moment(row["at"]) or "",
                row["folder"],
                shown(row["path"]),
                row["event"],
                row["old_file_id"],
                row["new_file_id"],
            )

    def _row(self, text: str) -> sqlite3.Row:
        folder_id, path = self._reader.locate(text, _cwd())
        row = self._reader.entry(folder_id, path)
        if row is None:
            raise UnknownPath(f"`{text}` is not in the index")
        return row


def _file(row: sqlite3.Row, now: float) -> File:
    file_id = answer(row, now)
    return File(
        folder=row["folder"],
        root=shown(row["root"]),
        path=shown(row["path"]),
        file_id=file_id,
        state=row["state"],
        digest=row["digest"],
        size=row["held_size"],
        purpose=row["purpose"],
        remote_name=row["remote_name"] if file_id else None,
        expires_at=_moment(row["expires_at"]) if file_id else None,
        error=row["error"],
    )


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _now() -> float:
    return time.time()  # noqa: TID251 - the clock module brings an event loop along


def _cwd() -> str:
    return os.getcwd()  # noqa: TID251 - a script's paths are relative to where it runs


__all__ = ["Change", "File", "Index"]
