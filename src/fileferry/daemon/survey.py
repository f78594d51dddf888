"""Scan and join: a walk of the disk beside a cursor over the index, one step of each at a time.

What agrees leaves no trace; a million unchanged files make no object that outlives its step. What differs is noted
in the index in batches, and planned from there. All of this blocks, and runs in a worker.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.errors import SourceGone, SourceUnreadable
from fileferry.index import entries
from fileferry.index.connection import open_reader
from fileferry.local.reader import glance
from fileferry.local.scanner import Dark
from fileferry.local.stamp import stamp_of
from fileferry.plan.settle import quiet_at

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from fileferry.daemon.mirror import Mirror
    from fileferry.index.writer import Writer

BATCH = 1_000
Note = tuple[str, bytes, object]
_AT_REST = frozenset({"synced", "pending", "stale", "rejected", "error", "kept"})


@dataclass(slots=True)
class Survey:
    """What a survey found. Counts of files; `dark` counts places that could not be looked at."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0
    dark: int = 0
    left_out: int = 0
    rules_files: tuple[tuple[bytes, bytes], ...] = ()

    def add(self, other: Survey) -> None:
        """Count what another survey found."""
        self.seen += other.seen
        self.new += other.new
        self.changed += other.changed
        self.missing += other.missing
        self.dark += other.dark
        self.left_out += other.left_out

    @property
    def differs(self) -> bool:
        """Say whether anything was noted."""
        return bool(self.new or self.changed or self.missing or self.dark or self.left_out)


class Surveyor:
    """Compares folders with the index at `index_path` and notes differences through `writer`."""

    def __init__(self, index_path: str, writer: Writer, wall: Callable[[], float]) -> None:
        self._index_path = index_path
        self._writer = writer
        self._wall = wall

    def directory(self, mirror: Mirror, prefix: bytes = b"") -> Survey:
        """Compare everything below a directory; b"" is the whole folder.

        Raises:
            OSError: the directory itself cannot be listed.
        """
        survey = Survey()
        walk = mirror.walk()
        with closing(open_reader(self._index_path)) as db:
            rows = entries.joinable(db, mirror.folder_id, prefix)
            notes = _join(walk.files(prefix), rows, mirror, survey)
            self._note(mirror, notes)
        survey.rules_files = tuple(walk.rules_files)
        return survey

    def paths(self, mirror: Mirror, paths: Iterable[bytes]) -> Survey:
        """Compare some paths, whatever stands there now; return what was found at all of them."""
        survey = Survey()
        with closing(open_reader(self._index_path)) as db:
            for path in paths:
                survey.add(self._path(db, mirror, path))
        return survey

    def _path(self, db: sqlite3.Connection, mirror: Mirror, path: bytes) -> Survey:
        try:
            status = glance(mirror.folder.root, path, follow_inside=mirror.follows)
        except SourceGone:
            return self._gone(db, mirror, path)
        except SourceUnreadable as error:
            self._note(mirror, [("dark", path, error.message)])
            return Survey(dark=1)
        is_dir = stat.S_ISDIR(status.st_mode)
        survey = self._displaced(db, mirror, path, is_dir=is_dir)
        try:
            if mirror.leaves_out(path, is_dir=is_dir):
                return survey
            if is_dir:
                survey.add(self.directory(mirror, path))
                return survey
        except OSError as error:  # a directory, or rules above it, that cannot be read
            reason = f"cannot be read: {(error.strerror or 'unknown error').lower()}"
            self._note(mirror, [("dark", path, reason)])
            survey.add(Survey(dark=1))
            return survey
        self._note(mirror, [("saw", path, status)])
        survey.add(Survey(seen=1, changed=1))
        return survey

    def _displaced(
        self, db: sqlite3.Connection, mirror: Mirror, path: bytes, *, is_dir: bool
    ) -> Survey:
        """Note what cannot be there any more: the file in whose place a directory stands, or all that was below one."""
        if is_dir:
            entry = entries.get(db, mirror.folder_id, path)
            known = [] if entry is None else [(entry.path, str(entry.state))]
        else:
            known = [(row[0], row[6]) for row in entries.joinable(db, mirror.folder_id, path)]
        survey = Survey()
        for place, state in known:
            self._note(mirror, _unmatched(place, state, [], mirror, survey))
        return survey

    def _gone(self, db: sqlite3.Connection, mirror: Mirror, path: bytes) -> Survey:
        # Whatever the index has at or below it went with it; each is looked at again before it is let go.
        below = [row[0] for row in entries.joinable(db, mirror.folder_id, path)]
        if entries.get(db, mirror.folder_id, path) is not None:
            below.append(path)
        survey = Survey(missing=len(below))
        self._note(mirror, [("missed", gone, None) for gone in below])
        return survey

    def _note(self, mirror: Mirror, notes: Iterable[Note]) -> None:
        batch: list[Note] = []
        for note in notes:
            batch.append(note)
            if len(batch) >= BATCH:
                self._write(mirror, batch)
                batch = []
        if batch:
            self._write(mirror, batch)

    def _write(self, mirror: Mirror, batch: list[Note]) -> None:
        now = self._wall()
        self._writer.submit(lambda db: _apply(db, mirror, batch, now)).result()


def _join(
    sightings: Iterator[tuple[bytes, os.stat_result | Dark]],
    rows: Iterator[tuple[bytes, int, int, int, int, int, str, int]],
    mirror: Mirror,
    survey: Survey,
) -> Iterator[Note]:
    dark: list[bytes] = []
    row = next(rows, None)
    for path, found in sightings:
        while row is not None and row[0] < path:
            yield from _unmatched(row[0], row[6], dark, mirror, survey)
            row = next(rows, None)
        if isinstance(found, Dark):
            dark.append(path)
            survey.dark += 1
            yield ("dark", path, found.reason)
        elif row is None or row[0] != path:
            survey.seen += 1
            survey.new += 1
            yield ("saw", path, found)
        else:
            survey.seen += 1
            if (
                found.st_mtime_ns != row[2]
                or found.st_size != row[1]
                or found.st_ctime_ns != row[3]
                or row[7]
                or row[6] not in _AT_REST
                or found.st_ino != row[4]
                or found.st_dev != row[5]
            ):
                survey.changed += 1
                yield ("saw", path, found)
        if row is not None and row[0] == path:
            row = next(rows, None)
    while row is not None:
        yield from _unmatched(row[0], row[6], dark, mirror, survey)
        row = next(rows, None)


def _unmatched(
    path: bytes, state: str, dark: list[bytes], mirror: Mirror, survey: Survey
) -> Iterator[Note]:
    if state in {"ignored", "kept"}:
        return
    if any(path.startswith(place + b"/") for place in dark):
        return
    try:
        is_left_out = mirror.leaves_out(path)
    except OSError:
        return  # rules that cannot be read decide nothing
    if is_left_out:
        survey.left_out += 1
        yield ("left out", path, None)
        return
    survey.missing += 1
    yield ("missed", path, None)


def _apply(db: sqlite3.Connection, mirror: Mirror, batch: list[Note], now: float) -> None:
    folder_id = mirror.folder_id
    for kind, path, detail in batch:
        if kind == "saw":
            assert isinstance(detail, os.stat_result), "a sighting comes with its status"
            stamp = stamp_of(detail)
            due_at = quiet_at(
                stamp, seen_at=now, now=now, settle_seconds=mirror.folder.settle_seconds
            )
            entries.saw(
                db,
                folder_id,
                path,
                stamp,
                now=now,
                due_at=due_at,
                settle_max_seconds=mirror.folder.settle_max_seconds,
            )
        elif kind == "missed":
            entries.missed(db, folder_id, path, now=now)
        elif kind == "dark":
            entries.darkened(db, folder_id, path, str(detail))
        else:
            entries.disregarded(db, folder_id, path)
