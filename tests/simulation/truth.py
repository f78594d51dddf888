"""What is true, whatever the index says: what the emulator stored, for whom, and what became of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from fileferry.emulator.records import FileRecord
    from fileferry.model import Folder
    from simulation.world import World


@dataclass(frozen=True, slots=True)
class Sent:
    """An upload of ours that was stored."""

    record: FileRecord
    content_id: int | None
    has_expiry: bool


class Truth:
    """Knows all sides of a world.

    Attributes:
        records: everything that was ever stored, by id.
        sent: what we had stored.
        foreign: what others had stored.
        deleted: ids that our own DELETE removed.
        removed_by_others: ids of ours that somebody else deleted.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.records: dict[str, FileRecord] = {}
        self.sent: dict[str, Sent] = {}
        self.foreign: set[str] = set()
        self.deleted: set[str] = set()
        self.removed_by_others: set[str] = set()

    def server_now(self) -> float:
        """Return the emulator's wall seconds."""
        now: float = self._world.emulator.clock.now()
        return now

    def living(self) -> frozenset[str]:
        """Return the ids that the emulator would answer for now."""
        now = self.server_now()
        return frozenset(
            record.id
            for record in self.records.values()
            if record.id not in self.deleted
            and record.id not in self.removed_by_others
            and not record.is_expired(now)
        )

    def orphans(self, db: sqlite3.Connection) -> list[str]:
        """Return living files of ours that the index neither answers with nor is about to delete."""
        known = {
            row[0]
            for row in db.execute(
                "SELECT file_id FROM remote WHERE state = 'live'"
                " OR (state IN ('retiring', 'deleting') AND proof = 'proven')"
            )
        }
        living = self.living()
        return [file_id for file_id in self.sent if file_id in living and file_id not in known]

    def folder_of(self, path: bytes) -> Folder | None:
        """Return the folder that a path is in."""
        for folder in self._world.folders:
            if path.startswith(folder.root + b"/"):
                return folder
        return None

    def is_ignored(self, folder: Folder, path: bytes) -> bool:
        """Say what the few patterns that histories use mean, in words of our own."""
        relative = path[len(folder.root) + 1 :]
        if os.path.basename(relative) == b".ferryignore":
            return True
        rules = self._world.disk.files.get(folder.root + b"/.ferryignore", b"").decode()
        for pattern in [*folder.ignore, *rules.split()]:
            if pattern.startswith("*") and relative.endswith(pattern[1:].encode()):
                return True
            if pattern.endswith("/") and pattern[:-1].encode() in relative.split(b"/")[:-1]:
                return True
        return False


__all__ = ["Sent", "Truth"]
