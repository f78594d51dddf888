"""Look at the remote for a command, beside a running daemon or without one: list, compare, and change nothing.

A listing proves nothing about what is younger than its first page, so an id that it lacks is asked for alone, and an
id that the daemon replaced meanwhile is nobody's business any more.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.daemon.comparison import Finding
from fileferry.daemon.contact import ACCOUNT_KEY
from fileferry.daemon.enlist import ENDPOINT_KEY, endpoint_text, pinned_to
from fileferry.errors import Held, RemoteError, RemoteMissing
from fileferry.index.connection import open_reader
from fileferry.index.identity import shown
from fileferry.model import Proof, RemoteFile, RemoteState
from fileferry.plan.comparison import Symbol, Verdict, of_remote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fileferry.model import RemoteSettings
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

Kind = tuple[str, int | None, str]
_LIVE = "SELECT file_id, name, size, purpose, created_at, expires_at, proof FROM remote WHERE state = 'live'"
_PATHS = (
    "SELECT folder.name, entry.path FROM remote JOIN entry ON entry.held_id = remote.content_id"
    " JOIN folder ON folder.id = entry.folder_id WHERE remote.file_id = ? AND remote.state = 'live'"
    " ORDER BY folder.name, entry.path"
)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A remote file that looks like ours and is not proven to be.

    Args:
        file: as the API describes it.
        why: what makes it look like ours.
        known: the index has its id: it was matched once.
        used_by: the paths that it answers for.
        unsettled: an upload whose answer was lost may be this one.
    """

    file: RemoteFile
    why: str
    known: bool
    used_by: tuple[str, ...] = ()
    unsettled: bool = False

    @property
    def deletable(self) -> bool:
        """Say whether it may be deleted when somebody asks for it."""
        return not self.used_by and not self.unsettled


class RemoteView:
    """The remote of an index.

    Args:
        remote, pace: how to ask it.
        index_path: read only, in short transactions.
        settings: which remote it should be.
    """

    def __init__(
        self, remote: Remote, pace: Pace, *, index_path: str, settings: RemoteSettings
    ) -> None:
        self._remote = remote
        self._pace = pace
        self._index_path = index_path
        self._settings = settings

    async def greet(self) -> None:
        """Check that the remote is the one that the index belongs to.

        Raises:
            Held: it is another one, where every id of ours would be missing.
            RemoteError: it does not answer, or refuses us.
        """
        async with self._pace.call():
            account = await self._remote.hello()
        here = endpoint_text(self._settings)
        whose = ", ".join(part for part in (account.organization, account.project) if part)
        with closing(open_reader(self._index_path)) as db:
            for pinned, now in (
                (pinned_to(db, ENDPOINT_KEY), here),
                (pinned_to(db, ACCOUNT_KEY), whose),
            ):
                if pinned and now and pinned != now:
                    raise Held(
                        f"the index belongs to {pinned}, and this is {now}",
                        hint="`fileferry accept remote` if that was meant",
                    )

    async def listing(self) -> AsyncIterator[RemoteFile]:
        """Yield every file of the project, page by page."""
        after: str | None = None
        while True:
            async with self._pace.call():
                page = await self._remote.page(after)
            for file in page.files:
                yield file
            if page.after is None or page.after == after:
                return
            after = page.after

    async def compare(self) -> AsyncIterator[Finding]:
        """Yield a finding for every live id of the index, and for every file that looks like ours beside them."""
        with closing(open_reader(self._index_path)) as db:
            live = {row[0]: (RemoteFile(*row[:6]), row[6]) for row in db.execute(_LIVE)}
        orphans = _Likeness(self._index_path)
        async for file in self.listing():
            recorded = live.pop(file.file_id, None)
            if recorded is not None:
                yield self._finding(file.file_id, _verdict(recorded, file))
                continue
            orphan = orphans.judge(file)
            if orphan is not None:
                yield Finding(
                    Verdict(Symbol.UNKNOWN, f"{orphan.why}; see `fileferry orphans`"),
                    "",
                    b"",
                    file.file_id,
                )
        for file_id, recorded in live.items():
            if self._is_live(file_id):
                yield self._finding(file_id, await self._ask(file_id, recorded))

    async def orphans(self) -> list[Orphan]:
        """Return the files that look like ours and are not proven to be, oldest first."""
        likeness = _Likeness(self._index_path)
        found = [likeness.judge(file) async for file in self.listing()]
        return [orphan for orphan in found if orphan is not None]

    async def delete(self, orphan: Orphan) -> bool:
        """Delete a file that the index does not know, unless it became one of ours meanwhile; say whether it went.

        Raises:
            RemoteError: it could not be deleted.
        """
        fresh = _Likeness(self._index_path).judge(orphan.file)
        if fresh is None or fresh.known or not fresh.deletable:
            return False
        async with self._pace.call():
            await self._remote.delete(orphan.file.file_id)
        return True

    async def _ask(self, file_id: str, recorded: tuple[RemoteFile, str]) -> Verdict:
        try:
            async with self._pace.call():
                file = await self._remote.get(file_id)
        except RemoteMissing:
            return Verdict(Symbol.ERROR, "gone at the remote")
        except RemoteError as error:
            return Verdict(Symbol.UNKNOWN, error.message)
        return _verdict(recorded, file)

    def _is_live(self, file_id: str) -> bool:
        with closing(open_reader(self._index_path)) as db:
            sql = "SELECT 1 FROM remote WHERE file_id = ? AND state = 'live'"
            return db.execute(sql, (file_id,)).fetchone() is not None

    def _finding(self, file_id: str, verdict: Verdict) -> Finding:
        if verdict.symbol is Symbol.SAME:
            return Finding(verdict, "", b"", file_id)
        with closing(open_reader(self._index_path)) as db:
            row = db.execute(_PATHS, (file_id,)).fetchone()
        folder, path = row or ("", b"")
        return Finding(verdict, folder, path, file_id)


class _Likeness:
    """What makes a file look like ours: the names, sizes and purposes of all that this index sent or began to send."""

    def __init__(self, index_path: str) -> None:
        self._index_path = index_path
        with closing(open_reader(index_path)) as db:
            self._sent: set[Kind] = set(
                db.execute(
                    "SELECT name, size, purpose FROM remote UNION SELECT name, size, purpose FROM intent"
                )
            )
            self._open: set[Kind] = set(
                db.execute("SELECT name, size, purpose FROM intent WHERE state <> 'closed'")
            )

    def judge(self, file: RemoteFile) -> Orphan | None:
        """Return why a file looks like ours; None where it does not, or is ours for sure."""
        kind = (file.name, file.size, file.purpose)
        if file.size is None or kind not in self._sent:
            return None
        with closing(open_reader(self._index_path)) as db:
            row = db.execute(
                "SELECT state, proof FROM remote WHERE file_id = ?", (file.file_id,)
            ).fetchone()
            if row is not None and row[1] == Proof.PROVEN:
                # After `accept remote` there and back again, what was written off is there, and nothing deletes it.
                is_lost = row[0] == RemoteState.LOST
                return Orphan(file, "this index took it for lost", False) if is_lost else None
            if row is not None:
                used = db.execute(_PATHS, (file.file_id,)).fetchall()
                paths = tuple(f"{name}:{shown(path)}" for name, path in used)
                return Orphan(file, f"matched by name, size and purpose; {row[0]}", True, paths)
        if kind in self._open:
            return Orphan(
                file, "an upload without an answer may be this", known=False, unsettled=True
            )
        why = "same name, size and purpose as a file of this index"
        return Orphan(file, why, known=False)


def _verdict(recorded: tuple[RemoteFile, str], listed: RemoteFile) -> Verdict:
    return of_remote(recorded[0], listed, is_proven=recorded[1] == Proof.PROVEN)
