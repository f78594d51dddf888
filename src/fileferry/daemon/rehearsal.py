"""`sync --dry-run`: the same survey, reading and planning on a throwaway copy of the index, and no remote.

Nothing of ours changes, and nothing of theirs: the copy is made by SQLite in one read transaction and removed at the
end. Files that still settle are planned as they are now.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from fileferry.daemon import custody
from fileferry.daemon.enlist import enlist, note_rules_files, pin_endpoint
from fileferry.daemon.inspection import inspect_all
from fileferry.daemon.placing import place_all
from fileferry.daemon.survey import Surveyor
from fileferry.index import entries, folders, holds, leaving
from fileferry.index.connection import open_reader, open_writer
from fileferry.index.identity import FILE_NAME, shown
from fileferry.index.writer import InlineWriter
from fileferry.local import root
from fileferry.local.root import Identity
from fileferry.plan import guard

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from fileferry.clock import Clock
    from fileferry.daemon.mirror import Mirror
    from fileferry.model import Folder, RemoteSettings

BATCH = 1_000
REQUESTS_BESIDE = 1  # the greeting


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a `sync` would do.

    Args:
        action: upload, link, rename, restore, remove, delete, reject, hold, halt, wait.
        path: `FOLDER:relative/path`, or an id for `delete`.
        size: bytes that would travel.
        detail: why, or which id.
    """

    action: str
    path: str
    size: int = 0
    detail: str = ""


class Rehearsal:
    """Plans a `sync` in `scratch`, a directory of its own."""

    def __init__(self, state_directory: str, scratch: str, clock: Clock) -> None:
        self._clock = clock
        self._path = os.path.join(scratch, FILE_NAME)
        self._state_directory = state_directory
        original = os.path.join(state_directory, FILE_NAME)
        self._is_copy = os.path.exists(original)
        if self._is_copy:
            source = open_reader(original)
            try:
                source.execute("PRAGMA query_only = OFF")
                source.execute("VACUUM INTO ?", (self._path,))
            finally:
                source.close()

    def plan(self, wanted: Sequence[Folder], settings: RemoteSettings) -> list[Step]:
        """Return what a `sync` would do, in the order in which it would.

        Raises:
            Held: the index belongs to another remote, or was moved.
        """
        writer = InlineWriter(open_writer(self._path))
        try:
            return self._plan(writer, wanted, settings)
        finally:
            writer.close()

    def _plan(
        self, writer: InlineWriter, wanted: Sequence[Folder], settings: RemoteSettings
    ) -> list[Step]:
        settled = [replace(folder, settle_seconds=0.0, settle_max_seconds=0.0) for folder in wanted]

        def prepare(db: sqlite3.Connection) -> dict[int, Mirror]:
            if self._is_copy:
                custody.verify(db, self._state_directory)
            pin_endpoint(db, settings)
            return enlist(db, settled, now=self._clock.wall())

        mirrors = writer.submit(prepare).result()
        began = writer.submit(_last_change).result()
        steps: list[Step] = []
        for mirror in mirrors.values():
            steps += self._survey(writer, mirror)
        self._read(writer, mirrors)
        steps += writer.submit(lambda db: list(_arrivals(db, began))).result()
        steps += writer.submit(lambda db: list(self._departures(db, mirrors))).result()
        return steps

    def _survey(self, writer: InlineWriter, mirror: Mirror) -> list[Step]:
        evidence = writer.submit(lambda db: self._evidence(db, mirror)).result()
        proof = root.prove(mirror.folder.root, evidence[0], evidence[1], entries=len(evidence[1]))
        if proof.trouble is not None:
            reason = f"{proof.trouble}: {proof.detail}"
            writer.submit(lambda db: folders.set_halt(db, mirror.folder_id, reason)).result()
            return [Step("halt", f"{mirror.folder.name}:", detail=proof.detail)]
        survey = Surveyor(self._path, writer, self._clock.wall).directory(mirror)

        def judge(db: sqlite3.Connection) -> list[Step]:
            note_rules_files(db, mirror, survey.rules_files)
            folders.set_halt(db, mirror.folder_id, None)
            files, size = holds.waiting_uploads(db, mirror.folder_id)
            held: list[Step] = []
            reason = guard.uploads_held(
                files=files, size=size, budget_bytes=mirror.folder.upload_budget_bytes
            )
            if reason is not None and not folders.is_judged(db, mirror.folder_id):
                now = self._clock.wall()
                holds.hold_uploads(
                    db, mirror.folder_id, files=files, size=size, reason=reason, now=now
                )
                held = [
                    Step("hold", f"{mirror.folder.name}:", size, f"{files:,} uploads: {reason}")
                ]
            folders.set_contact(db, mirror.folder_id)
            return held

        return writer.submit(judge).result()

    def _evidence(self, db: sqlite3.Connection, mirror: Mirror) -> tuple[Identity | None, list]:  # type: ignore[type-arg]
        identity = folders.identity(db, mirror.folder_id)
        known, _ = entries.evidence(db, mirror.folder_id, limit=root.SAMPLE)
        return (None if identity is None else Identity.from_json(identity)), known

    def _read(self, writer: InlineWriter, mirrors: dict[int, Mirror]) -> None:
        now = self._clock.wall() + entries.CLOCK_JUMP_SECONDS
        while batch := writer.submit(lambda db: entries.due(db, now=now, limit=BATCH)).result():
            work = [(mirrors[entry.folder_id], entry) for entry in batch]
            found = inspect_all(work, self._clock.wall, multipart=True)
            server_now = self._clock.wall()
            writer.submit(
                partial(place_all, batch=found, now=now, server_now=server_now, multipart=True)
            ).result()
            done = [(entry.folder_id, entry.path) for entry in batch]
            writer.submit(partial(_quieten, done=done)).result()

    def _departures(self, db: sqlite3.Connection, mirrors: dict[int, Mirror]) -> Iterator[Step]:
        now = self._clock.wall()
        for mirror in mirrors.values():
            name = mirror.folder.name
            gone = leaving.absences(db, mirror.folder_id, now=now, window=guard.WINDOW_SECONDS)
            reason = guard.deletes_held(
                leaving=gone.leaving,
                left=gone.left,
                total=gone.total,
                budget=mirror.folder.delete_budget,
                held=gone.held,
            )
            for absence in gone.paths:
                held = reason is not None and absence.leaves and not absence.approved
                detail = "" if not held else reason or ""
                yield Step("hold" if held else "remove", f"{name}:{shown(absence.path)}", 0, detail)
        due = leaving.begin_deletes(
            db, now=now, scans_began_at=folders.oldest_scan(db), limit=1_000_000
        )
        for item in due:
            yield Step("delete", item.file_id, 0, item.name)


def calls(steps: Sequence[Step]) -> int:
    """Return how many requests a plan would take."""
    requests = sum(step.action in {"upload", "delete"} for step in steps)
    return requests + REQUESTS_BESIDE if requests else 0


def _last_change(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COALESCE(max(seq), 0) FROM change_log").fetchone()[0])


def _quieten(db: sqlite3.Connection, done: list[tuple[int, bytes]]) -> None:
    db.executemany("UPDATE entry SET due_at = NULL WHERE folder_id = ? AND path = ?", done)


def _arrivals(db: sqlite3.Connection, began: int) -> Iterator[Step]:
    named = {"added": "link", "renamed": "rename", "restored": "restore", "updated": "link"}
    for name, path, event, file_id in db.execute(
        "SELECT folder.name, change_log.path, event, new_file_id FROM change_log"
        " JOIN folder ON folder.id = folder_id WHERE seq > ? ORDER BY seq",
        (began,),
    ):
        if event in named:
            yield Step(named[event], f"{name}:{shown(path)}", 0, file_id or "")
    for name, path, error in db.execute(
        "SELECT folder.name, path, error FROM entry JOIN folder ON folder.id = folder_id"
        " WHERE state = 'rejected' OR (state = 'unknown' AND attachment = 'active') ORDER BY folder.name, path"
    ):
        yield Step("reject", f"{name}:{shown(path)}", 0, error or "")
    sent: set[int] = set()
    for name, path, content_id, size in db.execute(
        "SELECT folder.name, path, want_id, content.size FROM entry JOIN folder ON folder.id = folder_id"
        " JOIN content ON content.id = want_id WHERE absent = 0 AND hold_id IS NULL"
        " AND attachment = 'active' AND halt IS NULL ORDER BY folder.name, path"
    ):
        where = f"{name}:{shown(path)}"
        yield (
            Step("link", where, 0, "with another path")
            if content_id in sent
            else Step("upload", where, size)
        )
        sent.add(content_id)
