"""An audit for tests: an index, a remote that lists what it is told, and the auditor between them."""

import asyncio
from typing import TYPE_CHECKING, Any

from fileferry.daemon.audit import Audit, Auditor
from fileferry.daemon.logs import Log
from fileferry.errors import RemoteMissing, RemoteUnavailable
from fileferry.index import intents, wants
from fileferry.index.writer import InlineWriter
from fileferry.model import RemoteFile
from fileferry.remote.base import Page
from fileferry.remote.pacing import Pace
from index_rows import NOW, Story

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LAG", "LIFE", "SHOWN", "Scene"]

LAG = 60.0
SHOWN = LAG + 2.0  # listings show what there is: servers tell their time in whole seconds
LIFE = 7_000


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def wall(self) -> float:
        return self._story.now

    def monotonic(self) -> float:
        return self._story.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class Shelf:
    """The network's side: what is listed, in pages, and what is there when it is asked for alone."""

    def __init__(self) -> None:
        self.files: list[RemoteFile] = []
        self.unlisted: list[RemoteFile] = []
        self.page_size = 1_000
        self.ahead_seconds = 0.0
        self.asked: list[str] = []
        self.is_down = False
        self.repeats_its_last_page = False
        self.meanwhile: Callable[[], None] = lambda: None

    async def page(self, after: str | None) -> Page:
        self.meanwhile()
        if self.is_down:
            raise RemoteUnavailable("not now")
        ids = [file.file_id for file in self.files]
        start = 0 if after is None else ids.index(after) + 1
        some = self.files[start : start + self.page_size]
        is_last = start + self.page_size >= len(self.files)
        if is_last and self.repeats_its_last_page:
            return Page(tuple(some), after)
        return Page(tuple(some), None if is_last else some[-1].file_id)

    async def get(self, file_id: str) -> RemoteFile:
        self.asked.append(file_id)
        for file in (*self.files, *self.unlisted):
            if file.file_id == file_id:
                return file
        raise RemoteMissing("no such file")

    def skew_seconds(self) -> float:
        return self.ahead_seconds

    def is_time_doubtful(self) -> bool:
        return False


class Notes(Log):
    """What was logged, and at which level."""

    def __init__(self) -> None:
        super().__init__("info")
        self.said: list[tuple[str, str, Any]] = []

    def _log(self, level: str, event: str, facts: dict[str, Any]) -> None:
        self.said.append((level, event, facts.get("outcome") or facts.get("file_id")))


class Scene:
    """An index, a shelf, and the auditor between them."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.db = story.db
        self.shelf = Shelf()
        self.writer = InlineWriter(story.db)
        self.notes = Notes()
        self.unchanged: set[intents.Reading] = set()
        clock = Clock(story)
        remote: Any = self.shelf
        self.auditor = Auditor(
            remote=remote,
            pace=Pace(clock, uploads_per_minute=0, concurrency=1, delay=lambda _: 0.0),
            writer=self.writer,
            clock=clock,
            list_lag_seconds=LAG,
            delete_budget=2,
            retire_seconds=30.0,
            is_unchanged=self._is_unchanged,
            log=self.notes,
        )

    async def _is_unchanged(self, reading: intents.Reading) -> bool:
        return reading in self.unchanged

    def audit(self) -> Audit:
        return asyncio.run(self.auditor.run())

    def wanted(self, name: str = "a.txt", content: bytes = b"one") -> int:
        """A path that has no id yet."""
        return self.story.read(name.encode(), content)

    def lost_answer(
        self,
        name: str = "a.txt",
        content: bytes = b"one",
        life: int | None = LIFE,
        *,
        was_read: bool = False,
    ) -> int:
        """An upload of a path was begun, and its answer was lost. `was_read`: while it was sent, not before."""
        path = name.encode()
        reading = intents.Reading(self.story.folder_id, path, self.story.stamp(content))
        content_id = self.wanted(name, content)
        intent_id = intents.open_one(
            self.db,
            content_id=content_id,
            name=name,
            size=len(content),
            purpose="user_data",
            expires_seconds=life,
            server_now=self.story.now,
            now=self.story.now,
            reading=reading if was_read else None,
        )
        assert intent_id is not None
        intents.give_up(self.db, intent_id, now=self.story.now)
        wants.put_off(self.db, content_id, until=None, error="the answer was lost")
        return content_id

    def stored(
        self,
        file_id: str = "file-1",
        name: str = "a.txt",
        *,
        life: int | None = LIFE,
        size: int | None = 3,
        purpose: str = "user_data",
    ) -> RemoteFile:
        """The shelf has a file that was made just now."""
        now = int(self.story.now)
        file = RemoteFile(file_id, name, size, purpose, now, None if life is None else now + life)
        self.shelf.files.append(file)
        return file

    def synced(self, *file_ids: str, life: int | None = None) -> None:
        """Paths with ids that are on the shelf."""
        for file_id in file_ids:
            content_id = self.wanted(f"{file_id}.txt", file_id.encode())
            expires_at = None if life is None else int(NOW) + life
            self.story.answer(content_id, file_id, expires_at=expires_at)
            self.shelf.files.append(
                RemoteFile(
                    file_id, f"{file_id}.txt", len(file_id), "user_data", int(NOW), expires_at
                )
            )

    def vanish(self, *file_ids: str) -> None:
        self.shelf.files = [file for file in self.shelf.files if file.file_id not in file_ids]

    def hide(self, *file_ids: str) -> None:
        self.shelf.unlisted += [file for file in self.shelf.files if file.file_id in file_ids]
        self.vanish(*file_ids)

    def remote(self, file_id: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.db.execute(
            "SELECT state, proof, reason, content_id FROM remote WHERE file_id = ?", (file_id,)
        ).fetchone()
        return row

    def outcomes(self) -> list[tuple[str, str | None, str | None]]:
        return self.db.execute("SELECT state, outcome, file_id FROM intent ORDER BY id").fetchall()

    def due_at(self, content_id: int) -> float | None:
        row = self.db.execute("SELECT due_at FROM content WHERE id = ?", (content_id,)).fetchone()
        due: float | None = row[0]
        return due
