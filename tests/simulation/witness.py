"""What must hold, whatever happens: watched at every commit, every upload and every delete, and asked at the end.

The witness knows the truth of all sides: what stood on the disk and when, what the emulator stored for whom, and what
the index says. It takes part in nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulation.disk import sha

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from fileferry.emulator.records import FileRecord
    from fileferry.emulator.spool import Spooled
    from fileferry.model import Folder
    from simulation.world import World

FRESH_SECONDS = 1.0
"""A path that came back so short a time ago may still be taken for gone: nobody can look and write at once."""

_PATH = "CAST(folder.root || X'2F' || {0}.path AS BLOB)"
_OF_FOLDER = "FROM entry JOIN folder ON folder.id = entry.folder_id"
_ANSWERS = (
    f"SELECT {_PATH.format('entry')}, remote.file_id, remote.proof FROM entry"
    " JOIN folder ON folder.id = entry.folder_id"
    " JOIN remote ON remote.content_id = entry.held_id AND remote.state = 'live'"
)


@dataclass(frozen=True, slots=True)
class Sent:
    """An upload of ours that was stored."""

    record: FileRecord
    content_id: int | None
    has_expiry: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of a path."""

    state: str
    file_id: str | None
    hold_id: int | None
    error: str | None

    @property
    def is_kept(self) -> bool:
        """Say whether somebody has decided about it, or has to."""
        return self.state == "kept" or self.hold_id is not None


class Witness:
    """Watches a world.

    Attributes:
        sent: what we had stored, by id.
        deleted: ids that our own DELETE removed.
        removed_by_others: ids of ours that somebody else deleted.
        mistaken: ids that were taken for ours without proof, and hold other bytes than their path.
        approved: remote files that somebody released from a hold.
        may_repeat: why an upload may be sent again although its first one exists, if it may.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: dict[str, Sent] = {}
        self.foreign: set[str] = set()
        self.deleted: set[str] = set()
        self.removed_by_others: set[str] = set()
        self.mistaken: set[str] = set()
        self.approved = 0
        self.may_repeat: str | None = None
        self.is_final = False
        self._records: dict[str, FileRecord] = {}
        self._seq = 0
        self._changes = -1
        world.on_commit = self._committed
        store: Any = world.emulator.store
        self._store_create = store.create
        self._store_delete = store.delete
        store.create = self._created
        store.delete = self._deleting

    # While it happens

    def _created(self, record: FileRecord, body: Spooled) -> FileRecord:
        world = self.world
        stored: FileRecord = self._store_create(record, body)
        self._records[stored.id] = stored
        if world.foreign_hand:
            self.foreign.add(stored.id)
            return stored
        world.figures.creates += 1
        content_id = self._intended(stored)
        if content_id is None:
            world.object("nothing is sent without an intent", f"{stored.filename} {stored.id}")
        else:
            self._check_not_twice(stored, content_id)
        self.sent[stored.id] = Sent(stored, content_id, stored.expires_at is not None)
        return stored

    def _intended(self, record: FileRecord) -> int | None:
        row = self._db.execute(
            "SELECT content_id FROM intent WHERE state = 'open' AND name = ? AND size = ? AND purpose = ?",
            (record.filename, record.bytes, record.purpose),
        ).fetchone()
        return None if row is None else int(row[0])

    def _check_not_twice(self, record: FileRecord, content_id: int) -> None:
        world = self.world
        now = world.emulator.clock.now()
        renew_at = self._db.execute(
            "SELECT renew_at FROM content WHERE id = ?", (content_id,)
        ).fetchone()[0]
        for other in self.sent.values():
            before = other.record
            if other.content_id != content_id or before.id not in self._living(now):
                continue
            row = self._db.execute(
                "SELECT state, reason, expires_at FROM remote WHERE file_id = ?", (before.id,)
            ).fetchone()
            state, reason, expires_at = (None, None, None) if row is None else row
            is_renewal = state == "live" and renew_at is not None and renew_at <= now + self._error
            gone_for_good = state == "deleting" or (
                state == "retiring" and reason not in {"removed", "changed"}
            )
            too_old = expires_at is not None and expires_at < now + 1_800
            if is_renewal or gone_for_good or (state == "retiring" and too_old):
                continue
            world.figures.duplicate_uploads += 1
            if self.may_repeat is None:
                world.object(
                    "bytes travel once",
                    f"{record.filename} again, {before.id} is {state or 'not recorded'}"
                    f" {reason or ''} since {before.stored_at - world.clock.true_wall():.0f} s",
                )
            return
        if self.is_final and renew_at is None:
            world.object("a second pass sends nothing", record.filename)

    def _deleting(self, file_id: str, now: float) -> None:
        world = self.world
        self._store_delete(file_id, now)
        if world.foreign_hand:
            self.removed_by_others.add(file_id)
            return
        world.figures.deletes += 1
        self.deleted.add(file_id)
        if file_id in self.foreign:
            world.figures.wrong_deletes += 1
            world.object("a foreign file is never deleted", file_id)
            return
        row = self._db.execute(
            "SELECT state, content_id, proof, reason, retired_at FROM remote WHERE file_id = ?",
            (file_id,),
        ).fetchone()
        if row is None or row[0] != "deleting" or row[2] != "proven":
            world.figures.wrong_deletes += 1
            world.object(
                "deletes come from the index's own ids, given up before", f"{file_id} {row}"
            )
            return
        used = self._db.execute(
            "SELECT path FROM entry WHERE held_id = ?1 AND NOT EXISTS"
            " (SELECT 1 FROM remote WHERE content_id = ?1 AND state = 'live')",
            (row[1],),
        ).fetchone()
        if used is not None:
            world.figures.wrong_deletes += 1
            world.object("no delete before there is a new id", f"{file_id} of {used[0]!r}")
        if row[3] in {"removed", "changed"}:
            self._check_unseen(file_id, retired_at=row[4])

    def _check_unseen(self, file_id: str, *, retired_at: float) -> None:
        """Whatever stood on the disk before an id was retired has been seen by a scan before it is deleted."""
        world, record = self.world, self._records[file_id]
        known = {row[0] for row in self._db.execute(f"SELECT {_PATH.format('entry')} {_OF_FOLDER}")}
        for path, content in world.disk.files.items():
            folder = self._folder_of(path)
            if (
                folder is None
                or path in known
                or sha(content) != record.sha256
                or folder.root in world.disk.away
                or world.disk.trouble_at(path, entering=True) is not None
                or self.is_ignored(folder, path)
                or world.disk.changed_at[path] >= retired_at - FRESH_SECONDS
            ):
                continue
            world.object("a whole scan comes before a delete", f"{file_id}, {path!r}")

    def _committed(self, db: sqlite3.Connection) -> None:
        if db.total_changes == self._changes:
            return
        self._changes = db.total_changes
        for path, file_id, proof in db.execute(_ANSWERS):
            self._check_answer(path, file_id, proof)
        self._check_removals(db)
        self._check_guard(db)

    def _check_answer(self, path: bytes, file_id: str, proof: str) -> None:
        world = self.world
        if file_id in self.deleted:
            world.figures.dead_ids_seen += 1
            world.object("the index never names an id that we deleted", f"{path!r} {file_id}")
            return
        record = self._records.get(file_id)
        if record is None:
            world.object("an id comes from the API", f"{path!r} {file_id}")
        elif record.sha256 not in world.disk.versions.get(path, ()):
            if proof == "matched":
                # A match by name, size and time is no proof, and may be of somebody else's bytes: it is counted.
                self.mistaken.add(file_id)
            else:
                world.object("an id's bytes stood at its path", f"{path!r} {file_id} {proof}")

    def _check_removals(self, db: sqlite3.Connection) -> None:
        world = self.world
        rows = db.execute(
            f"SELECT seq, {_PATH.format('change_log')} FROM change_log"
            " JOIN folder ON folder.id = folder_id WHERE seq > ? AND event = 'removed'",
            (self._seq,),
        ).fetchall()
        self._seq = db.execute("SELECT COALESCE(max(seq), 0) FROM change_log").fetchone()[0]
        for _, path in rows:
            if world.disk.holds(path):
                changed_at = world.disk.changed_at.get(path, 0.0)
                if world.clock.wall() - changed_at > FRESH_SECONDS:
                    world.figures.lost_updates += 1
                    world.object("unreadable is not deleted", f"{path!r} {world.disk.away}")

    def _check_guard(self, db: sqlite3.Connection) -> None:
        world = self.world
        budget = {folder.root: folder.delete_budget for folder in world.folders}
        rows = db.execute(
            "SELECT folder.root, count(*) FROM remote JOIN folder ON folder.id = remote.folder_id"
            " WHERE reason = 'removed' AND retired_at > ? GROUP BY 1",
            (world.clock.wall() - 86_400.0,),
        )
        for place, count in rows:
            if count > max(budget[place], 1) + self.approved:
                world.object(
                    "deletes over the budget are held", f"{count} of {place!r}, {budget[place]}"
                )

    # At the end

    def problems(self) -> list[str]:
        """Return what is not as it should be when everything has come to rest; nothing may be missing."""
        return [*self._not_converged(), *self._not_gone(), *self._leaked()]

    def _not_converged(self) -> Iterator[str]:
        disk = self.world.disk
        living = self._living(self.world.emulator.clock.now())
        entries = self._entries()
        for path in sorted(disk.files):
            entry = entries.pop(path, None)
            folder = self._folder_of(path)
            if folder is None or self.is_ignored(folder, path):
                continue
            if entry is None:
                yield f"{path!r} is not in the index"
            elif not entry.is_kept:
                yield from self._not_right(path, entry, living)
        for path, entry in entries.items():
            folder = self._folder_of(path)
            if folder is not None and not disk.below(folder.root):
                continue  # a root that was emptied halts until somebody accepts it
            if entry.state != "ignored" and not entry.is_kept:
                yield f"{path!r} is not on disk and {entry.state} with {entry.file_id}"

    def _not_right(self, path: bytes, entry: Known, living: frozenset[str]) -> Iterator[str]:
        content, file_id = self.world.disk.files[path], entry.file_id
        if not content:
            if entry.state != "rejected":
                yield f"{path!r} is empty and {entry.state}"
        elif entry.state != "synced" or file_id is None:
            yield f"{path!r} is {entry.state} with {file_id}: {entry.error}"
        elif file_id not in living:
            yield f"{path!r} has {file_id}, which is gone"
        elif self._records[file_id].sha256 != sha(content) and file_id not in self.mistaken:
            yield f"{path!r} has {file_id}, which holds other bytes"

    def _entries(self) -> dict[bytes, Known]:
        rows = self._db.execute(
            f"SELECT {_PATH.format('entry')}, entry.state, remote.file_id, entry.hold_id, entry.error"
            " FROM entry JOIN folder ON folder.id = entry.folder_id"
            " LEFT JOIN remote ON remote.content_id = entry.held_id AND remote.state = 'live'"
            " WHERE folder.attachment = 'active'"
        )
        return {row[0]: Known(*row[1:]) for row in rows}

    def _not_gone(self) -> Iterator[str]:
        for row in self._db.execute(
            "SELECT file_id, state, reason FROM remote WHERE state IN ('retiring', 'deleting') AND proof = 'proven'"
        ):
            yield f"{row[0]} is still {row[1]} ({row[2]})"
        for row in self._db.execute("SELECT name, state FROM intent WHERE state <> 'closed'"):
            yield f"the upload of {row[0]} is still {row[1]}"

    def _leaked(self) -> Iterator[str]:
        orphans = self.orphans()
        if self.may_repeat is None:
            allowed = self.world.figures.lost_answers
            if any(self.sent[file_id].has_expiry for file_id in orphans) or len(orphans) > allowed:
                yield f"nobody knows of {', '.join(orphans)}"

    def orphans(self) -> list[str]:
        """Return living files of ours that the index does not answer for."""
        known = {
            row[0]
            for row in self._db.execute(
                "SELECT file_id FROM remote WHERE state IN ('live', 'retiring', 'deleting')"
            )
        }
        living = self._living(self.world.emulator.clock.now())
        return [file_id for file_id in self.sent if file_id in living and file_id not in known]

    def is_ignored(self, folder: Folder, path: bytes) -> bool:
        """Say what the few patterns that histories use mean, in words of our own."""
        relative = path[len(folder.root) + 1 :]
        if os.path.basename(relative) == b".ferryignore":
            return True
        rules = self.world.disk.files.get(folder.root + b"/.ferryignore", b"").decode()
        for pattern in [*folder.ignore, *rules.split()]:
            if pattern.startswith("*") and relative.endswith(pattern[1:].encode()):
                return True
            if pattern.endswith("/") and pattern[:-1].encode() in relative.split(b"/")[:-1]:
                return True
        return False

    def _folder_of(self, path: bytes) -> Folder | None:
        for folder in self.world.folders:
            if path.startswith(folder.root + b"/"):
                return folder
        return None

    def _living(self, now: float) -> frozenset[str]:
        return frozenset(
            record.id
            for record in self._records.values()
            if record.id not in self.deleted
            and record.id not in self.removed_by_others
            and not record.is_expired(now)
        )

    @property
    def _error(self) -> float:
        """How far the engine's idea of the server's time may be off: one answer corrects it after a jump."""
        return 60.0 + sum(abs(jump) for jump in self.world.clock.jumps)

    @property
    def _db(self) -> sqlite3.Connection:
        assert self.world.writer is not None, "asked while the engine lives"
        return self.world.writer.connection
