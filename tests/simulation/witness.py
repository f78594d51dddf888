"""What must hold, whatever happens: watched at every commit, every upload and every delete.

The witness takes part in nothing. What it measures by is the truth: what stood on the disk and when, and what the
emulator stored for whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulation.disk import sha
from simulation.rest import Rest
from simulation.truth import Sent, Truth

if TYPE_CHECKING:
    import sqlite3

    from fileferry.emulator.records import FileRecord
    from fileferry.emulator.spool import Spooled
    from simulation.world import World

FRESH_SECONDS = 1.0
"""A path that came back so short a time ago may still be taken for gone: nobody can look and write at once."""

_PATH = "CAST(folder.root || X'2F' || {0}.path AS BLOB)"
_OF_FOLDER = "FROM entry JOIN folder ON folder.id = entry.folder_id"
_ANSWERS = (
    f"SELECT {_PATH.format('entry')}, remote.file_id, remote.proof {_OF_FOLDER}"
    " JOIN remote ON remote.content_id = entry.held_id AND remote.state = 'live'"
)
_ABSENT = f"SELECT {_PATH.format('entry')} {_OF_FOLDER} WHERE absent = 1"
_HELD = f"SELECT {_PATH.format('entry')} {_OF_FOLDER} WHERE hold_id IS NOT NULL OR state = 'kept'"
_GIVEN_UP = (
    "SELECT file_id FROM remote WHERE state = 'deleting'"
    " OR (state = 'retiring' AND reason IN ('renewed', 'race'))"
)


class Witness:
    """Watches a world.

    Attributes:
        truth: what it measures by.
        mistaken: ids that were taken for ours without proof, and hold other bytes than their path.
        approved: remote files that somebody released from a hold.
        is_final: nothing happens any more, so nothing may be sent.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.truth = Truth(world)
        self.mistaken: set[str] = set()
        self.approved = 0
        self.is_final = False
        self.rest = Rest(self)
        self._seq = 0
        self._changes = -1
        self._absent: frozenset[bytes] = frozenset()
        self._held: frozenset[bytes] = frozenset()
        self._given_up: set[str] = set()
        world.on_commit = self._committed
        store: Any = world.emulator.store
        self._store_create = store.create
        self._store_delete = store.delete
        store.create = self._created
        store.delete = self._deleting

    # Uploads

    def _created(self, record: FileRecord, body: Spooled) -> FileRecord:
        world, truth = self.world, self.truth
        stored: FileRecord = self._store_create(record, body)
        truth.records[stored.id] = stored
        if world.foreign_hand:
            truth.foreign.add(stored.id)
            return stored
        world.figures.creates += 1
        content_id = self._intended(stored)
        if content_id is None:
            world.object("nothing is sent without an intent", f"{stored.filename} {stored.id}")
        else:
            self._check_not_twice(stored, content_id)
        truth.sent[stored.id] = Sent(stored, content_id, stored.expires_at is not None)
        return stored

    def _intended(self, record: FileRecord) -> int | None:
        row = self._db.execute(
            "SELECT content_id FROM intent WHERE state = 'open' AND name = ? AND size = ? AND purpose = ?",
            (record.filename, record.bytes, record.purpose),
        ).fetchone()
        return None if row is None else int(row[0])

    def _check_not_twice(self, record: FileRecord, content_id: int) -> None:
        world, truth = self.world, self.truth
        now = truth.server_now()
        renew_at = self._db.execute(
            "SELECT renew_at FROM content WHERE id = ?", (content_id,)
        ).fetchone()[0]
        for other in truth.sent.values():
            before = other.record
            if other.content_id != content_id or before.id not in truth.living():
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
            world.object(
                "bytes travel once",
                f"{record.filename} again, {before.id} is {state or 'not recorded'}"
                f" {reason or ''} since {before.stored_at - world.clock.true_wall():.0f} s",
            )
            return
        if self.is_final and renew_at is None:
            world.object("a second pass sends nothing", record.filename)

    # Deletes

    def _deleting(self, file_id: str, now: float) -> None:
        world, truth = self.world, self.truth
        self._store_delete(file_id, now)
        if world.foreign_hand:
            truth.removed_by_others.add(file_id)
            return
        world.figures.deletes += 1
        truth.deleted.add(file_id)
        if file_id in truth.foreign:
            self._object_to_delete("a foreign file is never deleted", file_id)
            return
        row = self._db.execute(
            "SELECT state, content_id, proof, reason, retired_at FROM remote WHERE file_id = ?",
            (file_id,),
        ).fetchone()
        if row is None or row[0] != "deleting" or row[2] != "proven":
            rule = "deletes come from the index's own ids, given up before"
            self._object_to_delete(rule, f"{file_id} {row}")
            return
        used = self._db.execute(
            "SELECT path FROM entry WHERE held_id = ?1 AND NOT EXISTS"
            " (SELECT 1 FROM remote WHERE content_id = ?1 AND state = 'live')",
            (row[1],),
        ).fetchone()
        if used is not None:
            rule = "no delete before there is a new id"
            self._object_to_delete(rule, f"{file_id} of {used[0]!r}")
        if row[3] in {"removed", "changed"}:
            self._check_unseen(file_id, retired_at=row[4])

    def _object_to_delete(self, rule: str, detail: str) -> None:
        self.world.figures.wrong_deletes += 1
        self.world.object(rule, detail)

    def _check_unseen(self, file_id: str, *, retired_at: float) -> None:
        """Whatever stood on the disk before an id was retired has been seen by a scan before it is deleted."""
        disk, truth = self.world.disk, self.truth
        known = {row[0] for row in self._db.execute(f"SELECT {_PATH.format('entry')} {_OF_FOLDER}")}
        for path, content in disk.files.items():
            folder = truth.folder_of(path)
            if (
                folder is None
                or path in known
                or sha(content) != truth.records[file_id].sha256
                or folder.root in disk.away
                or disk.trouble_at(path, entering=True) is not None
                or truth.is_ignored(folder, path)
                or disk.changed_at[path] >= retired_at - FRESH_SECONDS
            ):
                continue
            self._object_to_delete("a whole scan comes before a delete", f"{file_id}, {path!r}")

    # Commits

    def _committed(self, db: sqlite3.Connection) -> None:
        if db.total_changes == self._changes:
            return
        self._changes = db.total_changes
        for path, file_id, proof in db.execute(_ANSWERS):
            self._check_answer(path, file_id, proof)
        self._check_given_up(db)
        self._check_absences(db)
        self._check_removals(db)
        self._check_guard(db)

    def _check_answer(self, path: bytes, file_id: str, proof: str) -> None:
        world = self.world
        if file_id in self.truth.deleted:
            world.figures.dead_ids_seen += 1
            world.object("the index never names an id that we deleted", f"{path!r} {file_id}")
            return
        record = self.truth.records.get(file_id)
        if record is None:
            world.object("an id comes from the API", f"{path!r} {file_id}")
        elif record.sha256 not in world.disk.versions.get(path, ()):
            if proof == "matched":
                # A match by name, size and time is no proof, and may be of somebody else's bytes: it is counted.
                self.mistaken.add(file_id)
            else:
                world.object("an id's bytes stood at its path", f"{path!r} {file_id} {proof}")

    def _check_given_up(self, db: sqlite3.Connection) -> None:
        """An id that a younger one replaced, or whose delete has begun, never answers again."""
        self._given_up.update(row[0] for row in db.execute(_GIVEN_UP))
        for (file_id,) in db.execute("SELECT file_id FROM remote WHERE state = 'live'"):
            if file_id in self._given_up:
                self.world.object("what was given up is not taken back", file_id)

    def _check_absences(self, db: sqlite3.Connection) -> None:
        """What stands on the disk, whether it can be read or not, is not taken for absent."""
        absent = frozenset(row[0] for row in db.execute(_ABSENT))
        for path in absent - self._absent:
            folder = self.truth.folder_of(path)
            if folder is not None and folder.root in self.world.disk.away:
                continue  # it is not to be seen: whether that means anything, the root has to prove
            if self._stands(path):
                self.world.object("unreadable is not absent", repr(path))
        self._absent = absent

    def _check_removals(self, db: sqlite3.Connection) -> None:
        world = self.world
        rows = db.execute(
            f"SELECT seq, {_PATH.format('change_log')} FROM change_log"
            " JOIN folder ON folder.id = folder_id WHERE seq > ? AND event = 'removed'",
            (self._seq,),
        ).fetchall()
        self._seq = db.execute("SELECT COALESCE(max(seq), 0) FROM change_log").fetchone()[0]
        for _, path in rows:
            if self._stands(path):
                world.figures.lost_updates += 1
                world.object("what is there is not let go", f"{path!r} {world.disk.away}")
            if path in self._held:
                world.figures.wrong_deletes += 1
                world.object("what is held or kept is not let go", repr(path))
        self._held = frozenset(row[0] for row in db.execute(_HELD))

    def _stands(self, path: bytes) -> bool:
        """Say whether a file stands at a path, in truth, and has for a moment."""
        disk = self.world.disk
        return disk.holds(path) and self.world.now() - disk.stands_since[path] > FRESH_SECONDS

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

    @property
    def _error(self) -> float:
        """How far the engine's idea of the server's time may be off: one answer corrects it after a jump."""
        return 60.0 + sum(abs(jump) for jump in self.world.clock.jumps)

    @property
    def _db(self) -> sqlite3.Connection:
        assert self.world.writer is not None, "asked while the engine lives"
        return self.world.writer.connection


__all__ = ["Witness"]
