"""Compare the index with the disk, path by path, and change nothing: what `check` prints and `repair` works from.

A walk beside the rows of the index, both in byte order, as a survey does it; but rows come in pages, so that no
snapshot of the index is held for as long as it takes to read every file. All of this blocks.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.daemon.enlist import mirror_of
from fileferry.errors import SourceChanged, SourceError, SourceGone
from fileferry.index import entries, folders
from fileferry.index.connection import open_reader
from fileferry.index.reader import SKEW
from fileferry.local import root
from fileferry.local.reader import digest, open_source
from fileferry.local.root import Identity
from fileferry.local.scanner import Dark
from fileferry.local.stamp import stamp_of
from fileferry.model import EntryState, Stamp
from fileferry.plan.comparison import (
    GONE,
    NEW,
    Known,
    Symbol,
    Verdict,
    by_bytes,
    by_stamp,
    is_worth_reading,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from fileferry.daemon.mirror import Mirror
    from fileferry.model import Folder

PAGE = 1_000
AHEAD = 4  # reads that are begun, for each thread
NO_ROW = -1
_ROWS = (
    "SELECT entry.path, entry.size, entry.mtime_ns, entry.ctime_ns, entry.inode, entry.device, entry.state,"  # noqa: S608
    f" CASE WHEN remote.expires_at IS NULL OR remote.expires_at > ?1 + {SKEW} THEN remote.file_id END,"
    " held.digest, held.size, COALESCE(entry.error, want.error), entry.absent FROM entry"
    " LEFT JOIN content AS held ON held.id = entry.held_id"
    " LEFT JOIN content AS want ON want.id = entry.want_id"
    " LEFT JOIN remote ON remote.content_id = entry.held_id AND remote.state = 'live'"
    " WHERE entry.folder_id = ?2 AND entry.path > ?3 ORDER BY entry.path LIMIT ?4"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """How one path, or one remote file, compares.

    Args:
        verdict: the symbol, and why.
        folder: its name; "" for a remote file without a path.
        path: relative to it; b"" is the folder itself.
        file_id: what answers for it, or None.
        folder_id: its row in the index; `NO_ROW` without one.
    """

    verdict: Verdict
    folder: str
    path: bytes
    file_id: str | None = None
    folder_id: int = NO_ROW


class Comparison:
    """Compares folders with the index at `index_path`.

    Args:
        index_path: read only, and in short transactions.
        folders: as they are configured.
        now: wall seconds: ids that have expired answer for nothing.
        full: read every file again, in `threads` threads.
    """

    def __init__(
        self,
        index_path: str,
        folders: Sequence[Folder],
        *,
        now: float,
        full: bool = False,
        threads: int = 0,
    ) -> None:
        self._index_path = index_path
        self._folders = folders
        self._now = now
        self._full = full
        self._threads = threads or min(8, len(os.sched_getaffinity(0)) + 1)

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for every path of every folder, in order."""
        with closing(open_reader(self._index_path)) as db:
            ids = {row.root: row.folder_id for row in folders.all_rows(db)}
            roots = {folder.root for folder in self._folders}
            for folder in self._folders:
                mirror = mirror_of(folder, ids.get(folder.root, NO_ROW), roots)
                try:
                    yield from self._folder(db, mirror)
                except OSError as error:  # the root went while it was walked
                    reason = f"cannot be listed: {(error.strerror or '').lower()}"
                    yield self._finding(mirror, b"", Verdict(Symbol.UNKNOWN, reason))

    def _folder(self, db: sqlite3.Connection, mirror: Mirror) -> Iterator[Finding]:
        trouble = _trouble(db, mirror)
        if trouble is not None:
            yield self._finding(mirror, b"", Verdict(Symbol.UNKNOWN, trouble))
            return
        pairs = self._pairs(db, mirror)
        if not self._full:
            for path, known, found in pairs:
                yield self._finding(mirror, path, _quick(known, found), known)
            return
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="check")
        waiting: deque[tuple[bytes, Known | None, Future[Verdict] | Verdict]] = deque()
        try:
            for path, known, found in pairs:
                answer: Future[Verdict] | Verdict = _quick(known, found)
                if known is not None and isinstance(found, Stamp) and is_worth_reading(known):
                    answer = pool.submit(_read, mirror, path, known)
                waiting.append((path, known, answer))
                if len(waiting) > self._threads * AHEAD:
                    yield self._ready(mirror, *waiting.popleft())
            while waiting:
                yield self._ready(mirror, *waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ready(
        self, mirror: Mirror, path: bytes, known: Known | None, answer: Future[Verdict] | Verdict
    ) -> Finding:
        verdict = answer if isinstance(answer, Verdict) else answer.result()
        return self._finding(mirror, path, verdict, known)

    def _finding(
        self, mirror: Mirror, path: bytes, verdict: Verdict, known: Known | None = None
    ) -> Finding:
        file_id = None if known is None else known.file_id
        return Finding(verdict, mirror.folder.name, path, file_id, mirror.folder_id)

    def _pairs(
        self, db: sqlite3.Connection, mirror: Mirror
    ) -> Iterator[tuple[bytes, Known | None, Stamp | Dark | None]]:
        """Join the walk with the index: what is known of each path, and what is there."""
        dark: list[tuple[bytes, Dark]] = []
        rows = self._rows(db, mirror.folder_id)
        row = next(rows, None)
        for path, found in mirror.walk().files():
            while row is not None and row[0] < path:
                yield from _unmatched(mirror, row, dark)
                row = next(rows, None)
            if isinstance(found, Dark):
                dark.append((path, found))
            known = None
            if row is not None and row[0] == path:
                known = row[1]
                row = next(rows, None)
            yield path, known, found if isinstance(found, Dark) else stamp_of(found)
        while row is not None:
            yield from _unmatched(mirror, row, dark)
            row = next(rows, None)

    def _rows(self, db: sqlite3.Connection, folder_id: int) -> Iterator[tuple[bytes, Known]]:
        last = b""
        while page := db.execute(_ROWS, (self._now, folder_id, last, PAGE)).fetchall():
            for path, *stamp, state, file_id, held, size, error, absent in page:
                yield (
                    path,
                    Known(
                        Stamp(*stamp), EntryState(state), file_id, held, size, error, bool(absent)
                    ),
                )
            last = page[-1][0]


def _trouble(db: sqlite3.Connection, mirror: Mirror) -> str | None:
    """Say why the directory of a folder cannot be trusted now; without that, all of it would look gone."""
    pinned = folders.identity(db, mirror.folder_id)
    known, count = entries.evidence(db, mirror.folder_id, limit=root.SAMPLE)
    identity = None if pinned is None else Identity.from_json(pinned)
    proof = root.prove(mirror.folder.root, identity, known, entries=count)
    return None if proof.trouble is None else proof.detail


def _unmatched(
    mirror: Mirror, row: tuple[bytes, Known], dark: list[tuple[bytes, Dark]]
) -> Iterator[tuple[bytes, Known, Dark | None]]:
    path, known = row
    if known.state in {EntryState.IGNORED, EntryState.KEPT}:
        return
    for place, reason in dark:
        if path.startswith(place + b"/"):
            yield path, known, reason
            return
    try:
        if mirror.leaves_out(path):
            return
    except OSError as error:
        yield path, known, Dark(f"its ignore rules cannot be read: {error.strerror}")
        return
    yield path, known, None


def _quick(known: Known | None, found: Stamp | Dark | None) -> Verdict:
    if isinstance(found, Dark):
        return Verdict(Symbol.UNKNOWN, found.reason)
    if found is None:
        return GONE
    return NEW if known is None else by_stamp(known, found)


def _read(mirror: Mirror, path: bytes, known: Known) -> Verdict:
    algorithm = str(known.digest).partition(":")[0]
    try:
        with open_source(
            mirror.folder.root, path, algorithm=algorithm, follow_inside=mirror.follows
        ) as source:
            return by_bytes(known, source.stamp, digest(source))
    except SourceGone:
        return GONE
    except SourceChanged:
        return Verdict(Symbol.DIFFERS, "it changes while it is read")
    except SourceError as error:
        return Verdict(Symbol.ERROR, error.message)
    except OSError as error:
        return Verdict(Symbol.ERROR, f"cannot be read: {(error.strerror or '').lower()}")
