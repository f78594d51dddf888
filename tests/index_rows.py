"""An index for tests: a few verbs that say what happened, on the real tables."""

import sqlite3
import time

from fileferry.index import contents, entries, folders, leaving, remotes
from fileferry.index.identity import SKEW_KEY
from fileferry.model import ContentKey, Entry, Proof, RemoteFile, Stamp

__all__ = ["Story"]

NOW = 1_700_000_000.0


class Story:
    """What happened to one folder, told to an open index. `now` is moved by the test."""

    def __init__(self, db: sqlite3.Connection, name: str = "docs") -> None:
        self.db = db
        self.now = NOW
        self.folder_id = folders.add(db, name=name, root=b"/" + name.encode())
        folders.set_contact(db, self.folder_id)
        # The views compare the end of an id with the present: here that is `NOW`.
        folders.set_meta(db, SKEW_KEY, f"{NOW - time.time()} {NOW}")

    def stamp(self, content: bytes) -> Stamp:
        """Return a stamp that goes with some bytes."""
        return Stamp(len(content), hash(content) % 10**9, 1, 1, 1)

    def key(self, content: bytes) -> ContentKey:
        """Return what is sent for some bytes."""
        return ContentKey(f"xxh3_128:{content.hex()}", len(content), "user_data", ".txt", "")

    def see(self, path: bytes, content: bytes) -> Entry:
        """The walk saw a path with these bytes."""
        entries.saw(
            self.db, self.folder_id, path, self.stamp(content), now=self.now, due_at=self.now
        )
        return self.entry(path)

    def read(self, path: bytes, content: bytes) -> int:
        """It was read and wants an id; return its content."""
        entry = self.see(path, content)
        content_id = contents.identify(self.db, self.key(content))
        contents.want(self.db, entry, self.stamp(content), content_id, due_at=None)
        if remotes.live_id(self.db, content_id) is None:
            contents.call_for(self.db, content_id, now=self.now)
        else:
            contents.settle(self.db, content_id, now=self.now)
        return content_id

    def let_go(self, *paths: bytes) -> int:
        """The paths are let go, after their delay; return how many were."""
        return leaving.let_go(self.db, self.folder_id, list(paths), now=self.now, at_once=False)

    def answer(
        self,
        content_id: int,
        file_id: str,
        *,
        expires_at: int | None = None,
        proof: Proof = Proof.PROVEN,
        retire_seconds: float = 0.0,
        origins: tuple[contents.Origin, ...] = (),
    ) -> int:
        """The API answered an upload with an id; return how many paths got it."""
        file = RemoteFile(file_id, "a.txt", 3, "user_data", int(self.now), expires_at)
        return contents.record_upload(
            self.db,
            content_id,
            file,
            proof=proof,
            renew_at=None,
            now=self.now,
            retire_seconds=retire_seconds,
            origins=origins,
        )

    def origin(self, path: bytes) -> contents.Origin:
        """Return a path as the upload of its bytes begins."""
        entry = self.entry(path)
        return contents.Origin(self.folder_id, path, entry.stamp, entry.held_id)

    def sync(self, path: bytes, content: bytes, file_id: str) -> int:
        """All of it."""
        content_id = self.read(path, content)
        self.answer(content_id, file_id)
        return content_id

    def miss(self, *paths: bytes) -> None:
        """These paths are proven gone."""
        for path in paths:
            entries.missed(self.db, self.folder_id, path, now=self.now)

    def entry(self, path: bytes) -> Entry:
        """Return a path as the index knows it."""
        entry = entries.get(self.db, self.folder_id, path)
        assert entry is not None
        return entry

    def files(self) -> dict[str, tuple[str, str | None]]:
        """Return state and id of every path, from the public view."""
        rows = self.db.execute("SELECT path, state, file_id FROM files")
        return {path: (state, file_id) for path, state, file_id in rows}

    def remotes(self) -> dict[str, str]:
        """Return the state of every remote file, from the public view."""
        return dict(self.db.execute("SELECT file_id, state FROM remote_files").fetchall())

    def events(self) -> list[tuple[str, str, str | None, str | None]]:
        """Return the log, from the public view."""
        return self.db.execute(
            "SELECT event, path, old_file_id, new_file_id FROM changes ORDER BY seq"
        ).fetchall()
