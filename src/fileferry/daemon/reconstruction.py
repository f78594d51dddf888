"""A new index after the old one is lost or damaged: read the disk, list the remote, take what can be matched.

What cannot be matched is left for the next `sync`, whose budget for first contact judges it. An index that was
restored from a copy is distrusted until an audit has passed: what it says of ids is as old as the copy.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from fileferry.daemon import custody
from fileferry.daemon.enlist import enlist, pin_endpoint
from fileferry.daemon.inspection import inspect
from fileferry.daemon.placing import place_all
from fileferry.daemon.survey import Surveyor
from fileferry.index import contents, entries, folders, intents, trust
from fileferry.index.identity import FILE_NAME
from fileferry.local import root
from fileferry.local.root import Identity
from fileferry.model import Proof
from fileferry.plan import adoption, renewals, rules

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from fileferry.clock import Clock
    from fileferry.daemon.mirror import Mirror
    from fileferry.index.writer import Writer
    from fileferry.model import Entry, Folder, Found, RemoteFile, RemoteSettings

BATCH = 512


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it: numbers of paths, of remote files taken, of contents that are left to be sent."""

    paths: int
    matched: int
    to_send: int


class Reconstruction:
    """Fills an index that was just made, or restored.

    Args:
        wanted, settings: from the configuration.
        directory: where the index is made, before it takes its place.
        writer: of that index.
        clock: wall time.
    """

    def __init__(
        self,
        wanted: Sequence[Folder],
        settings: RemoteSettings,
        directory: str,
        *,
        writer: Writer,
        clock: Clock,
    ) -> None:
        # Nobody waits here for files to settle: what still moves is sent later as it will be then.
        self._wanted = [replace(one, settle_seconds=0.0, settle_max_seconds=0.0) for one in wanted]
        self._settings = settings
        self._directory = directory
        self._writer = writer
        self._clock = clock
        self._mirrors: dict[int, Mirror] = {}

    def begin(self, *, restored: bool) -> None:
        """Forget where the index was, and bring it in line with the configuration."""

        def prepare(db: sqlite3.Connection) -> dict[int, Mirror]:
            custody.unpin(db)
            pin_endpoint(db, self._settings)
            now = self._clock.wall()
            if restored:
                trust.distrust(db)
                intents.give_up_all(db, now=now)
            return enlist(db, self._wanted, now=now)

        self._mirrors = self._writer.submit(prepare).result()

    def read(self) -> list[str]:
        """Scan and read every folder; return what is wrong with those that could not be. Blocks."""
        surveyor = Surveyor(
            os.path.join(self._directory, FILE_NAME), self._writer, self._clock.wall
        )
        troubles: list[str] = []
        for mirror in self._mirrors.values():
            trouble = self._writer.submit(partial(_trouble, mirror=mirror)).result()
            if trouble is not None:
                troubles.append(f"folder `{mirror.folder.name}`: {trouble}")
                continue
            try:
                surveyor.directory(mirror)
            except OSError as error:
                troubles.append(f"folder `{mirror.folder.name}`: {(error.strerror or '').lower()}")
                continue
            self._writer.submit(partial(folders.set_contact, folder_id=mirror.folder_id)).result()
        threads = min(8, len(os.sched_getaffinity(0)) + 1)
        with ThreadPoolExecutor(threads, thread_name_prefix="rebuild") as pool:
            self._inspect(pool)
        return troubles

    def take(self, files: Iterable[RemoteFile], *, skew_seconds: float) -> Rebuilt:
        """Take the remote files that can be matched; leave the rest to be sent.

        Args:
            files: a whole listing.
            skew_seconds: how far the server's clock is ahead of ours.
        """
        now = self._clock.wall()

        def record(db: sqlite3.Connection) -> Rebuilt:
            known = intents.known_ids(db)
            claims = list(self._claims(db, skew_seconds))
            unknown = [file for file in files if file.file_id not in known]
            taken = adoption.adopt(claims, unknown, server_now=now + skew_seconds)
            for content_id, file in taken.items():
                contents.record_upload(
                    db,
                    content_id,
                    file,
                    proof=Proof.MATCHED,
                    renew_at=renewals.renew_at(
                        created_at=file.created_at, expires_at=file.expires_at
                    ),
                    now=now,
                    retire_seconds=0.0,
                )
            paths = db.execute("SELECT count(*) FROM entry WHERE absent = 0").fetchone()[0]
            return Rebuilt(paths, len(taken), _leave_rest(db, now))

        return self._writer.submit(record).result()

    def _inspect(self, pool: ThreadPoolExecutor) -> None:
        """Read what the scans noted, each path once: what changes meanwhile is left to the next `sync`."""
        noted_at = self._clock.wall()
        before: list[Entry] = []

        def look(entry: Entry) -> tuple[Mirror, Entry, Found]:
            mirror = self._mirrors[entry.folder_id]
            return mirror, entry, inspect(mirror, entry, self._clock.wall, multipart=True)

        while True:
            batch = self._writer.submit(partial(entries.due, now=noted_at, limit=BATCH)).result()
            if not batch or batch == before:
                return
            before = batch
            found = list(pool.map(look, batch))
            now = self._clock.wall()
            self._writer.submit(
                partial(place_all, batch=found, now=now, server_now=now, multipart=True)
            ).result()

    def _claims(self, db: sqlite3.Connection, skew_seconds: float) -> Iterator[adoption.Claim]:
        rows = db.execute(
            "SELECT COALESCE(want_id, held_id), folder_id, path, ctime_ns, content.digest, content.size,"
            " content.purpose, NOT EXISTS (SELECT 1 FROM remote WHERE content_id = content.id AND state = 'live')"
            " FROM entry JOIN content ON content.id = COALESCE(want_id, held_id) WHERE absent = 0"
        ).fetchall()
        for content_id, folder_id, path, ctime_ns, digest, size, purpose, wanted in rows:
            mirror = self._mirrors.get(folder_id)
            if mirror is None:
                continue
            policy = rules.policy_for(mirror.folder, path)
            name = rules.sent_name(policy, path, digest)
            # A clock of ours that was behind the server's makes a change look older than it is.
            since = (
                None if "{digest8}" in policy.remote_name else ctime_ns / 1e9 + max(0, skew_seconds)
            )
            yield adoption.Claim(content_id, name, size, purpose, since, bool(wanted))


def _trouble(db: sqlite3.Connection, mirror: Mirror) -> str | None:
    pinned = folders.identity(db, mirror.folder_id)
    known, count = entries.evidence(db, mirror.folder_id, limit=root.SAMPLE)
    identity = None if pinned is None else Identity.from_json(pinned)
    proof = root.prove(mirror.folder.root, identity, known, entries=count)
    return None if proof.trouble is None else proof.detail


def _leave_rest(db: sqlite3.Connection, now: float) -> int:
    """Have what found no remote file read again by the next `sync`, under the budget of a first contact."""
    missing = (
        "SELECT id FROM content WHERE NOT EXISTS"
        " (SELECT 1 FROM remote WHERE content_id = content.id AND state = 'live')"
    )
    left = db.execute(
        f"SELECT count(DISTINCT want_id) FROM entry WHERE want_id IN ({missing})"  # noqa: S608
    ).fetchone()[0]
    db.execute(
        "UPDATE content SET due_at = NULL, attempts = 0"  # noqa: S608
        f" WHERE due_at IS NOT NULL AND id IN (SELECT want_id FROM entry) AND id IN ({missing})"
        " AND NOT EXISTS (SELECT 1 FROM intent WHERE content_id = content.id AND state <> 'closed')"
    )
    db.execute(
        f"UPDATE entry SET due_at = ?, want_id = NULL WHERE absent = 0 AND want_id IN ({missing})"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM intent WHERE content_id = want_id AND state <> 'closed')",
        (now,),
    )
    db.execute("UPDATE folder SET contact = 'new'")
    return int(left)


__all__ = ["Rebuilt", "Reconstruction"]
