"""A fleet of files that live for a while, over weeks of virtual time: the real index, the real plan, the real limits.

One upload after the other is sent when the bucket lets it, in the order in which the index gives them out; a server of
three lines answers. What is left out is everything that takes real time: disk, network, threads.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fileferry.daemon.renewal import RenewalPlan
from fileferry.daemon.uploads import chunk_of
from fileferry.index import contents, entries, folders, wants
from fileferry.index.schema import migrate
from fileferry.model import ContentKey, EntryState, Proof, RemoteFile, Stamp
from fileferry.plan import renewals
from fileferry.remote.pacing import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from fileferry.index.contents import Want

__all__ = ["DAY", "HOUR", "MINUTE", "Fleet"]

MINUTE, HOUR, DAY = 60, 3_600, 86_400
BEGINNING = 1_900_000_000.0
PASS_SECONDS = 20.0
"""How long the engine sleeps at most."""
FORGET_AFTER = 20_000


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = BEGINNING

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits by itself")


class Direct:
    """A Writer without transactions: nothing here is killed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    async def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return work(self.db)

    def submit(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        raise AssertionError("nobody here needs a future")

    def close(self) -> None:
        self.db.close()


@dataclass
class Figures:
    """What came of it.

    Args:
        first, renewed: uploads, by kind.
        died: ids that the server deleted before a younger one was there.
        most: uploads in any 60 seconds.
        early: by life, the largest share of its interval by which an id was renewed before it was due.
        left: by life, the smallest share of the margin that was left when it was.
        waited: seconds from when a file was new until it had an id, the longest.
    """

    first: int = 0
    renewed: int = 0
    died: int = 0
    most: int = 0
    early: dict[int, float] = field(default_factory=dict)
    left: dict[int, float] = field(default_factory=dict)
    waited: float = 0.0


class Fleet:
    """Files, and what becomes of their ids.

    Args:
        uploads_per_minute: the limit that all of them share.
    """

    def __init__(self, uploads_per_minute: int) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.db)
        self.db.execute("BEGIN")
        self.clock = Clock()
        self.figures = Figures()
        self.rate = uploads_per_minute
        self.bucket = Bucket(uploads_per_minute)
        writer: Any = Direct(self.db)
        self.plan = RenewalPlan(
            uploads_per_minute, writer=writer, clock=self.clock, server_now=self.clock.wall
        )
        self._folder_id = folders.add(self.db, name="docs", root=b"/docs")
        folders.set_contact(self.db, self._folder_id)
        self._life: dict[int, int] = {}
        self._new_at: dict[int, float] = {}
        self._ids: dict[int, tuple[int, int]] = {}  # when each was made, and its end
        self._unreadable: set[int] = set()
        self._queue: deque[Want] = deque()
        self._window: deque[float] = deque()

    def add(self, lives: Iterable[int], *, size: int = 10) -> list[int]:
        """Put new files into the folder, each with the life that its id shall have; return their contents."""
        now, added = self.clock.now, []
        for life in lives:
            number = len(self._life) + 1
            path = b"%d" % number
            stamp = Stamp(size, number, 1, number, 1)
            entries.saw(self.db, self._folder_id, path, stamp, now=now, due_at=now)
            key = ContentKey(f"xxh3_128:{number}", size, "user_data", ".txt", "")
            content_id = contents.identify(self.db, key)
            entry = entries.get(self.db, self._folder_id, path)
            assert entry is not None
            contents.want(self.db, entry, stamp, content_id, due_at=None)
            contents.call_for(self.db, content_id, now=now)
            self._life[content_id] = life
            self._new_at[content_id] = now
            added.append(content_id)
        return added

    def darken(self, contents_: Iterable[int]) -> None:
        """Make files unreadable."""
        for content_id in contents_:
            self._unreadable.add(content_id)
            self.db.execute(
                "UPDATE entry SET state = ? WHERE held_id = ?", (EntryState.UNKNOWN, content_id)
            )

    def limit(self, uploads_per_minute: int) -> None:
        """Change the limit from now on."""
        self.rate = self.bucket.per_minute = uploads_per_minute
        self.plan.limit(uploads_per_minute)

    def live(self, seconds: float, news: Iterable[tuple[float, int]] = ()) -> Figures:
        """Let so much time pass; `news` are files that come meanwhile: after so many seconds, with this life."""
        began, arrivals = self.clock.now, deque(news)
        until = began + seconds
        while self.clock.now < until:
            while arrivals and began + arrivals[0][0] <= self.clock.now:
                self.add([arrivals.popleft()[1]])
            if len(self._queue) < 8:
                self._fetch()
            if not self._queue:
                next_pass = max(self.clock.now + PASS_SECONDS, self._next_work())
                arrival = [began + arrivals[0][0]] if arrivals else []
                self.clock.now = min([until, next_pass, *arrival])
            elif wait := self.bucket.take(self.clock.now):
                self.clock.now += wait
            else:
                self._send(self._queue.popleft())
        for content_id in self._ids:
            self._count_if_dead(content_id)
        return self.figures

    def _next_work(self) -> float:
        """Return until when nothing can be due: passes that would find nothing are left out."""
        moments = [self.plan.good_until]
        for column in ("renew_at", "due_at"):
            query = f"SELECT min({column}) FROM content WHERE {column} IS NOT NULL"
            moment = self.db.execute(query).fetchone()[0]
            moments += [] if moment is None else [moment]
        return min(moments) - PASS_SECONDS

    def _fetch(self) -> None:
        now = self.clock.now
        ahead = _run(self.plan.ahead())
        self._queue.extend(
            wants.due(
                self.db,
                now=now,
                server_now=now,
                limit=chunk_of(self.plan.rate),
                busy=frozenset(want.content_id for want in self._queue),
                early_until=ahead.until,
                early_share=ahead.share,
            )
        )

    def _send(self, want: Want) -> None:
        now, content_id = self.clock.now, want.content_id
        if not wants.is_wanted(self.db, want):
            return
        if want.renew_at is not None:
            self._count_renewal(content_id, want.renew_at)
        else:
            self.figures.first += 1
            self.figures.waited = max(self.figures.waited, now - self._new_at[content_id])
        life = self._life[content_id]
        created_at = int(now)
        file = RemoteFile(
            f"file-{content_id}-{now}", "a", 10, "user_data", created_at, created_at + life
        )
        contents.record_upload(
            self.db,
            content_id,
            file,
            proof=Proof.PROVEN,
            renew_at=renewals.renew_at(created_at=created_at, expires_at=created_at + life),
            now=now,
            retire_seconds=0.0,
            origins=want.origins,
        )
        self._ids[content_id] = (created_at, created_at + life)
        self._window.append(now)
        while self._window[0] <= now - MINUTE:
            self._window.popleft()
        self.figures.most = max(self.figures.most, len(self._window))
        if (self.figures.first + self.figures.renewed) % FORGET_AFTER == 0:
            self.db.execute("DELETE FROM change_log")
            self.db.execute("DELETE FROM remote WHERE state <> 'live'")

    def _count_renewal(self, content_id: int, due_at: float) -> None:
        figures, now, life = self.figures, self.clock.now, self._life[content_id]
        created_at, expires_at = self._ids[content_id]
        figures.renewed += 1
        early = (due_at - now) / (due_at - created_at)
        left = (expires_at - now) / (expires_at - due_at)
        figures.early[life] = max(figures.early.get(life, 0.0), early)
        figures.left[life] = min(figures.left.get(life, 1.0), left)
        self._count_if_dead(content_id)

    def _count_if_dead(self, content_id: int) -> None:
        is_dead = self._ids[content_id][1] <= self.clock.now
        self.figures.died += is_dead and content_id not in self._unreadable


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")
