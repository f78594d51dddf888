"""What must be so when a world has come to rest: disk, index and remote agree, and nothing is left over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulation.disk import sha

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from fileferry.emulator.records import FileRecord
    from simulation.witness import Witness

_PATH = "CAST(folder.root || X'2F' || entry.path AS BLOB)"
_LATE_SECONDS = 300.0


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


def _renewal_of(record: FileRecord) -> float | None:
    """Return by when an id needs a younger one: a quarter of its life before its end, 15 minutes to a day."""
    if record.expires_at is None:
        return None
    life = record.expires_at - record.created_at
    return record.expires_at - min(max(life / 4, 900.0), 86_400.0)


class Rest:
    """Looks at a world that nothing happens to any more."""

    def __init__(self, witness: Witness) -> None:
        self._world = witness.world
        self._truth = witness.truth
        self._witness = witness

    def problems(self, *, patience: float = 0.0) -> list[str]:
        """Return what is not as it should be.

        Args:
            patience: how long an id that was retired may still wait for its delete; 0: nothing may be left to do.
        """
        return [*self._not_converged(), *self._not_gone(patience), *self._leaked()]

    def next_renewal(self) -> float | None:
        """Return the server second at which the first of the ids that answer should be renewed, if any should."""
        moments = [
            _renewal_of(self._truth.records[known.file_id])
            for path, known in self._entries().items()
            if known.file_id is not None and known.state == "synced" and not self._is_empty(path)
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def late_renewals(self) -> list[str]:
        """Return the answers that are dead, or should have been renewed some minutes ago."""
        now = self._truth.server_now()
        living = self._truth.living()
        late: list[str] = []
        for path, known in self._entries().items():
            if known.file_id is None or known.is_kept or known.state not in {"synced", "stale"}:
                continue
            if self._is_empty(path):
                continue
            due = _renewal_of(self._truth.records[known.file_id])
            if known.file_id not in living:
                self._world.figures.dead_ids_seen += 1
                late.append(f"{path!r} has {known.file_id}, which is gone")
            elif due is not None and known.state == "synced" and now > due + _LATE_SECONDS:
                late.append(f"{path!r} has {known.file_id}, which should have been renewed")
        return late

    def _not_converged(self) -> Iterator[str]:
        disk, truth = self._world.disk, self._truth
        living = truth.living()
        entries = self._entries()
        for path in sorted(disk.files):
            entry = entries.pop(path, None)
            folder = truth.folder_of(path)
            if folder is None or truth.is_ignored(folder, path):
                continue
            if entry is None:
                yield f"{path!r} is not in the index"
            else:
                yield from self._not_right(path, entry, living)
        for path, entry in entries.items():
            if self._is_empty(path):
                continue
            if entry.state != "ignored" and not entry.is_kept:
                yield f"{path!r} is not on disk and {entry.state} with {entry.file_id}"

    def _is_empty(self, path: bytes) -> bool:
        """Say whether the root of a path was emptied by its owner: it halts until somebody accepts that."""
        folder = self._truth.folder_of(path)
        return folder is not None and not self._world.disk.below(folder.root)

    def _not_right(self, path: bytes, entry: Known, living: frozenset[str]) -> Iterator[str]:
        content, file_id = self._world.disk.files[path], entry.file_id
        if not content:
            if entry.state != "rejected":
                yield f"{path!r} is empty and {entry.state}"
        elif entry.state != "synced" or file_id is None:
            yield f"{path!r} is {entry.state} with {file_id}: {entry.error}"
        elif file_id not in living:
            yield f"{path!r} has {file_id}, which is gone"
        elif (
            self._truth.records[file_id].sha256 != sha(content)
            and file_id not in self._witness.mistaken
        ):
            yield f"{path!r} has {file_id}, which holds other bytes"

    def _entries(self) -> dict[bytes, Known]:
        rows = self._db.execute(
            f"SELECT {_PATH}, entry.state, remote.file_id, entry.hold_id, entry.error"
            " FROM entry JOIN folder ON folder.id = entry.folder_id"
            " LEFT JOIN remote ON remote.content_id = entry.held_id AND remote.state = 'live'"
            " WHERE folder.attachment = 'active'"
        )
        return {row[0]: Known(*row[1:]) for row in rows}

    def _not_gone(self, patience: float) -> Iterator[str]:
        for row in self._db.execute(
            "SELECT file_id, state, reason FROM remote WHERE state IN ('retiring', 'deleting') AND proof = 'proven'"
            " AND retired_at <= ?",
            (self._world.clock.wall() - patience,),
        ):
            yield f"{row[0]} is still {row[1]} ({row[2]})"
        for row in self._db.execute("SELECT name, state FROM intent WHERE state <> 'closed'"):
            yield f"the upload of {row[0]} is still {row[1]}"

    def _leaked(self) -> Iterator[str]:
        orphans = self._truth.orphans(self._db)
        allowed = self._world.figures.lost_answers
        expiring = any(self._truth.sent[file_id].has_expiry for file_id in orphans)
        if expiring or len(orphans) > allowed:
            yield f"nobody knows of {', '.join(orphans)}"

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._world.writer is not None, "asked while the engine lives"
        return self._world.writer.connection


__all__ = ["Rest"]
