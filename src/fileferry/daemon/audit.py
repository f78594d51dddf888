"""The remote audit: one listing, four questions.

* Which ids of ours are gone without our doing? Each is asked for alone before it is called lost, and when more
  vanished at once than the delete budget allows, nothing is called lost: the remote is more likely another one.
* What became of the uploads whose answers were lost?
* Did a file turn up late that we had given up? It is claimed and removed.
* What does it say otherwise than the index? (`corrections`)
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.daemon import corrections
from fileferry.daemon.enlist import HALT_KEY
from fileferry.errors import RemoteMissing
from fileferry.index import contents, folders, intents, remotes, trust, wants
from fileferry.model import Proof, RemoteState, RetireReason
from fileferry.plan import guard, renewals, settlement

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.index.intents import Intent, Reading
    from fileferry.index.writer import Writer
    from fileferry.model import RemoteFile
    from fileferry.remote.base import Remote
    from fileferry.remote.pacing import Pace

AUDITED_KEY = "audited_at"
HALT_ACCEPTED_KEY = "halt_accepted"
DELETED_LAGS = 4  # times as long as a listing may lag, until one shows that a delete was none


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    listed: int
    lost: int
    settled: int
    unsettled: int
    halted: bool


class Auditor:
    """Compares the index with the remote's listing.

    Args:
        is_unchanged: says whether a file that was read while it was sent is still what it was before.
    """

    def __init__(
        self,
        *,
        remote: Remote,
        pace: Pace,
        writer: Writer,
        clock: Clock,
        list_lag_seconds: float,
        delete_budget: int,
        retire_seconds: float,
        is_unchanged: Callable[[Reading], Awaitable[bool]],
        log: Log,
    ) -> None:
        self._remote = remote
        self._pace = pace
        self._writer = writer
        self._clock = clock
        self._list_lag_seconds = list_lag_seconds
        self._delete_budget = delete_budget
        self._retire_seconds = retire_seconds
        self._is_unchanged = is_unchanged
        self._log = log

    async def run(self) -> Audit:
        """List the remote and answer the three questions.

        Raises:
            RemoteError: the listing did not come through; nothing was concluded.
        """
        listed_at = self._clock.wall()
        files = await self.listing()
        # The answer has just told the server's time: a clock of ours that jumped must not make ids look expired.
        server_now = self._server_now()
        now = self._clock.wall()
        expired = await self._writer.run(
            lambda db: corrections.lose_expired(db, files.keys(), server_now=server_now, now=now)
        )
        if expired:
            self._log.warning("ids_ran_out", ids=expired)
        unsettled, settled = await self._settle(files, listed_at)
        lost, halted = await self._find_lost(files, listed_at)
        if not halted:
            await self._correct(files, listed_at)
            await self._retire_found(files)
            await self._writer.run(lambda db: _audited(db, listed_at))
        return Audit(len(files), lost, settled, unsettled, halted)

    def _server_now(self) -> float:
        return self._clock.wall() + self._remote.skew_seconds()

    async def listing(self) -> dict[str, RemoteFile]:
        """Return every file of the project by id, of every purpose, page by page."""
        files: dict[str, RemoteFile] = {}
        after: str | None = None
        while True:
            async with self._pace.call():
                page = await self._remote.page(after)
            files.update((file.file_id, file) for file in page.files)
            if page.after is None or page.after == after:
                return files
            after = page.after

    async def _settle(self, files: dict[str, RemoteFile], listed_at: float) -> tuple[int, int]:
        def read(db: sqlite3.Connection) -> tuple[list[Intent], list[Intent], frozenset[str]]:
            return intents.unknown(db), intents.unanswered(db), intents.known_ids(db)

        unknown, unanswered, known = await self._writer.run(read)
        if not unknown and not unanswered:
            return 0, 0
        unclaimed: dict[tuple[str, int | None, str], list[RemoteFile]] = defaultdict(list)
        for file in files.values():
            if file.file_id not in known:
                unclaimed[_likeness(file)].append(file)
        left = 0
        for intent in unknown:
            if listed_at < intent.unknown_at <= self._clock.wall():
                left += 1  # it was given up while the listing ran
                continue
            verdict = self._verdict(intent, unclaimed, listed_at)
            if isinstance(verdict, settlement.Found):
                _claim(unclaimed, verdict.file)
                await self._found(intent, verdict)
            else:
                left += not verdict.final
                await self._missed(intent, final=verdict.final)
        for intent in unanswered:
            verdict = self._verdict(intent, unclaimed, listed_at)
            if isinstance(verdict, settlement.Found):
                _claim(unclaimed, verdict.file)
                await self._remove_late(intent, verdict)
        return left, len(unknown) - left

    def _verdict(
        self,
        intent: Intent,
        unclaimed: dict[tuple[str, int | None, str], list[RemoteFile]],
        listed_at: float,
    ) -> settlement.Found | settlement.Missing:
        alike = [
            *unclaimed.get((settlement.heard(intent.name), intent.size, intent.purpose), ()),
            *unclaimed.get((settlement.heard(intent.name), None, intent.purpose), ()),
        ]
        return settlement.settle(
            alike,
            opened_at=intent.opened_at,
            ended_at=settlement.ended_at(
                opened_at=intent.opened_at,
                begun_at=intent.begun_at,
                unknown_at=intent.unknown_at,
            ),
            listed_at=listed_at + self._remote.skew_seconds(),
            expires_seconds=intent.expires_seconds,
            absences=intent.absences,
            list_lag_seconds=self._list_lag_seconds,
        )

    async def _found(self, intent: Intent, found: settlement.Found) -> None:
        """Take over what was sent if it is what was planned: compared, or read from a file that is still the same."""
        is_same = not intent.spoilt and (
            intent.reading is None or await self._is_unchanged(intent.reading)
        )
        if is_same:
            await self._adopt(intent, found)
        else:
            await self._discard(intent, found)

    async def _adopt(self, intent: Intent, found: settlement.Found) -> None:
        now = self._clock.wall()
        file = found.file
        renew_at = renewals.renew_at(created_at=file.created_at, expires_at=file.expires_at)

        def record(db: sqlite3.Connection) -> None:
            intents.close(db, intent.intent_id, "done", now=now, file_id=file.file_id)
            contents.record_upload(
                db,
                intent.content_id,
                file,
                proof=found.proof,
                renew_at=renew_at,
                now=now,
                retire_seconds=self._retire_seconds,
            )

        await self._writer.run(record)
        self._log.info("settled", outcome="found", file_id=file.file_id, proof=str(found.proof))

    async def _discard(self, intent: Intent, found: settlement.Found) -> None:
        """What was stored is nobody's version: it goes, and the path is read again."""
        now = self._clock.wall()

        def record(db: sqlite3.Connection) -> None:
            _retire(db, intent, found, now=now)
            wants.put_off(db, intent.content_id, until=now, error=None)
            if intent.reading is not None:
                wants.look_again(db, intent.reading.folder_id, intent.reading.path, now=now)

        await self._writer.run(record)
        self._log.info("settled", outcome="spoilt", file_id=found.file.file_id)

    async def _missed(self, intent: Intent, *, final: bool) -> None:
        now = self._clock.wall()

        def record(db: sqlite3.Connection) -> None:
            if not final:
                intents.missed(db, intent.intent_id)
                return
            intents.close(db, intent.intent_id, "none", now=now)
            tried = wants.attempts(db, intent.content_id)
            left = wants.life_left(db, intent.content_id, server_now=self._server_now())
            until = now if tried < wants.FAILING_AFTER else now + renewals.retry_seconds(left)
            wants.put_off(db, intent.content_id, until=until, error=None)

        await self._writer.run(record)
        if final:
            self._log.info("settled", outcome="none", name=intent.name)

    async def _remove_late(self, intent: Intent, found: settlement.Found) -> None:
        now = self._clock.wall()

        await self._writer.run(lambda db: _retire(db, intent, found, now=now))
        if found.proof is Proof.PROVEN:
            self._log.info("late_file_retired", file_id=found.file.file_id)

    async def _find_lost(self, files: dict[str, RemoteFile], listed_at: float) -> tuple[int, bool]:
        before = listed_at - self._list_lag_seconds

        def read(db: sqlite3.Connection) -> list[tuple[str, bool]]:
            rows = db.execute(
                "SELECT file_id, recorded_at < ? FROM remote WHERE state = 'live'", (before,)
            )
            return [(str(row[0]), bool(row[1])) for row in rows]

        live = await self._writer.run(read)
        missing = [file_id for file_id, old in live if old and file_id not in files]
        accepted = await self._writer.run(_take_acceptance)
        if not accepted and guard.too_many_lost(
            missing=len(missing), total=len(live), budget=self._delete_budget
        ):
            reason = f"{len(missing):,} of {len(live):,} ids are gone at once: is this the right project and endpoint?"
            await self._writer.run(lambda db: folders.set_meta(db, HALT_KEY, reason))
            self._log.warning("halted", reason=reason)
            return 0, True
        lost = 0
        for file_id in missing:
            lost += await self._confirm_lost(file_id)
        return lost, False

    async def _correct(self, files: dict[str, RemoteFile], listed_at: float) -> None:
        now, before = self._clock.wall(), listed_at - DELETED_LAGS * self._list_lag_seconds

        def record(db: sqlite3.Connection) -> tuple[list[str], list[str]]:
            learned = corrections.learn_ends(db, files.values())
            return learned, corrections.repeat_deletes(db, files.keys(), now=now, before=before)

        learned, there = await self._writer.run(record)
        if learned:
            self._log.info("ends_learned", ids=len(learned))
        for file_id in there:
            self._log.warning("still_there", file_id=file_id)

    async def _retire_found(self, files: dict[str, RemoteFile]) -> None:
        now, delay = self._clock.wall(), self._retire_seconds
        found = await self._writer.run(
            lambda db: remotes.found_again(db, files.keys(), now=now, delay=delay)
        )
        for file_id in found:
            self._log.warning("found_again", file_id=file_id)

    async def _confirm_lost(self, file_id: str) -> bool:
        try:
            async with self._pace.call():
                await self._remote.get(file_id)
        except RemoteMissing:
            now = self._clock.wall()
            await self._writer.run(lambda db: remotes.lose(db, file_id, now=now))
            self._log.warning("lost", file_id=file_id)
            return True
        return False


def _likeness(file: RemoteFile) -> tuple[str, int | None, str]:
    """Return what a file must share with an intent to come of it."""
    return settlement.heard(file.name), file.size, file.purpose


def _claim(
    unclaimed: dict[tuple[str, int | None, str], list[RemoteFile]], file: RemoteFile
) -> None:
    alike = _likeness(file)
    unclaimed[alike] = [other for other in unclaimed[alike] if other.file_id != file.file_id]


def _retire(db: sqlite3.Connection, intent: Intent, found: settlement.Found, *, now: float) -> None:
    """Record what an upload made as what nothing needs."""
    intents.close(db, intent.intent_id, "done", now=now, file_id=found.file.file_id)
    remotes.add_remote(
        db,
        None,
        found.file,
        state=RemoteState.RETIRING,
        proof=found.proof,
        now=now,
        reason=RetireReason.RACE,
    )


def _audited(db: sqlite3.Connection, listed_at: float) -> None:
    folders.set_meta(db, AUDITED_KEY, repr(listed_at))
    trust.audited(db)


def _take_acceptance(db: sqlite3.Connection) -> bool:
    """Say whether somebody accepted, once, that many ids are gone."""
    accepted = folders.meta(db, HALT_ACCEPTED_KEY) is not None
    folders.set_meta(db, HALT_ACCEPTED_KEY, None)
    return accepted
