"""Which scopes are dirty, and the surveys that clean them: events, timers and commands all end here as marks.

A survey of a whole folder proves its root before and after; without that proof it concludes nothing, and the folder
halts with a state that says why and how to go on. One folder never waits for another's disk.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fileferry.daemon.enlist import note_rules_files
from fileferry.index import entries, folders, holds, wants
from fileferry.local import root
from fileferry.local.root import Identity, RootTrouble
from fileferry.local.scanner import RULES_NAME
from fileferry.plan import guard

if TYPE_CHECKING:
    import random
    import sqlite3
    from collections.abc import Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.daemon.logs import Log
    from fileferry.daemon.mirror import Mirror
    from fileferry.daemon.survey import Survey, Surveyor
    from fileferry.daemon.workers import Workers
    from fileferry.index.writer import Writer
    from fileferry.model import Stamp

PROOF_DEADLINE_SECONDS = 20.0
SPACING_SECONDS = 0.1
MANY_PATHS = 256
RESCAN_JITTER = 0.25
TROUBLED_RESCAN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A mark that somebody waits for."""

    folder_id: int
    round: int


class Lookout:
    """Surveys folders when they are marked, and from time to time.

    Attributes:
        on_change: called when a survey ended.
        troubles: folders that cannot be looked at now, with the reason in words.
        hanging: those of them whose disk does not answer: nobody waits for what is under way there.
        whole_scans: how many whole scans of a folder have begun and ended.
        misses: changes that only a whole scan found, with no hint of any in that folder before it.
    """

    def __init__(
        self,
        surveyor: Surveyor,
        mirrors: Mapping[int, Mirror],
        *,
        writer: Writer,
        workers: Workers,
        clock: Clock,
        random: random.Random,
        log: Log,
    ) -> None:
        self._surveyor = surveyor
        self._mirrors = mirrors
        self._writer = writer
        self._workers = workers
        self._clock = clock
        self._random = random
        self._log = log
        self._marks: dict[int, set[bytes]] = {folder_id: {b""} for folder_id in mirrors}
        self._not_before: dict[int, float] = {}
        self._rescan_at: dict[int, float] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._begun: dict[int, int] = {}
        self._ended_rounds: dict[int, int] = {}
        self._proofs: dict[int, asyncio.Task[root.Proof]] = {}
        self.on_change: Callable[[], None] = lambda: None
        self.troubles: dict[int, str] = {}
        self.hanging: set[int] = set()
        self.whole_scans: dict[int, int] = dict.fromkeys(mirrors, 0)
        self.misses = 0
        self._hinted: set[int] = set()

    def mark(self, folder_id: int, path: bytes = b"") -> Ticket:
        """Note that something may have changed at or below a path; b"" is the whole folder.

        Returns:
            What to ask `covered` with: done when a survey that began after this call has ended.
        """
        self._mark(folder_id, path)
        return Ticket(folder_id, self._begun.get(folder_id, 0) + 1)

    def covered(self, ticket: Ticket) -> bool:
        """Say whether a survey that began after the mark was made has ended."""
        return self._ended_rounds.get(ticket.folder_id, 0) >= ticket.round

    def _mark(self, folder_id: int, path: bytes) -> None:
        if path:
            self._hinted.add(folder_id)
        marks = self._marks.setdefault(folder_id, set())
        if b"" in marks:
            return
        if path.rpartition(b"/")[2] == RULES_NAME or len(marks) >= MANY_PATHS:
            path = b""
        if not path:
            marks.clear()
        marks.add(path)
        self.on_change()

    def mark_all(self) -> list[Ticket]:
        """Have every folder scanned whole."""
        return [self.mark(folder_id) for folder_id in self._mirrors]

    def rescan_within(self, folder_id: int, seconds: float) -> None:
        """Have a folder scanned whole within so many seconds: events from there are not to be relied on."""
        latest = self._clock.monotonic() + seconds
        self._rescan_at[folder_id] = min(self._rescan_at.get(folder_id, latest), latest)

    @property
    def busy(self) -> bool:
        """Say whether a survey is running or about to, in folders that answer."""
        marked = {folder_id for folder_id, marks in self._marks.items() if marks}
        return bool(marked.union(self._tasks) - self.hanging)

    def due_in_seconds(self) -> float:
        """Return how long nothing is to be surveyed."""
        now = self._clock.monotonic()
        moments = [at for folder_id, at in self._rescan_at.items() if folder_id not in self._tasks]
        moments += [
            self._not_before.get(folder_id, now)
            for folder_id, marks in self._marks.items()
            if marks and folder_id not in self._tasks
        ]
        return max(0.0, min(moments, default=now + 3600.0) - now)

    async def start_due(self) -> int:
        """Begin the surveys that are due; return how many."""
        now = self._clock.monotonic()
        started = 0
        for folder_id, mirror in self._mirrors.items():
            if folder_id in self._tasks:
                continue
            if now >= self._rescan_at.get(folder_id, float("inf")):
                self.mark(folder_id)
            marks = self._marks.get(folder_id)
            if not marks or now < self._not_before.get(folder_id, 0.0):
                continue
            self._marks[folder_id] = set()
            self._not_before[folder_id] = now + SPACING_SECONDS
            self._begun[folder_id] = self._begun.get(folder_id, 0) + 1
            self._tasks[folder_id] = asyncio.create_task(self._survey(mirror, marks))
            self._tasks[folder_id].add_done_callback(partial(self._ended, folder_id))
            started += 1
        return started

    async def stop(self) -> None:
        """Begin nothing more, and do not wait for disks."""
        for task in [*self._tasks.values(), *self._proofs.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks.values(), *self._proofs.values(), return_exceptions=True)

    async def prove(self, mirror: Mirror) -> bool:
        """Prove the root of a folder, with a deadline; halt the folder, or let it go on, by the outcome."""
        pinned, known, count = await self._writer.run(lambda db: _evidence(db, mirror.folder_id))
        task = self._proofs.get(mirror.folder_id)
        if task is None or task.done():
            task = asyncio.create_task(
                self._workers.run_apart(
                    root.prove, mirror.folder.root, pinned, known, entries=count
                )
            )
            self._proofs[mirror.folder_id] = task
        done, _ = await asyncio.wait({task}, timeout=PROOF_DEADLINE_SECONDS)
        if not done:
            shown = mirror.folder.root.decode("utf-8", "backslashreplace")
            self.hanging.add(mirror.folder_id)
            await self._halt(mirror, RootTrouble.HANGING, f"`{shown}` does not answer")
            return False
        proof = task.result()
        self.hanging.discard(mirror.folder_id)
        if proof.trouble is not None:
            await self._halt(mirror, proof.trouble, proof.detail)
            return False
        await self._go_on(mirror, proof, pinned)
        return True

    async def _survey(self, mirror: Mirror, marks: set[bytes]) -> None:
        folder_id = mirror.folder_id
        if b"" not in marks and folder_id not in self.troubles:
            self._hinted.discard(folder_id)
            await self._survey_patiently(mirror, self._surveyor.paths, sorted(marks))
            return
        self._plan_rescan(mirror)
        hinted = folder_id in self._hinted or self.whole_scans[folder_id] == 0
        self._hinted.discard(folder_id)
        began_at = self._clock.wall()
        began = self._clock.monotonic()
        if not await self.prove(mirror):
            return
        try:
            survey = await self._survey_patiently(mirror, self._surveyor.directory)
        except OSError as error:
            self._log.warning("survey_failed", folder=mirror.folder.name, error=str(error))
            await self.prove(mirror)
            return
        if not await self.prove(mirror):
            return
        await self._writer.run(lambda db: self._scanned(db, mirror, survey, began_at))
        self.whole_scans[folder_id] += 1
        if not hinted:
            self.misses += survey.new + survey.changed + survey.missing
        log = self._log.info if survey.differs else self._log.debug
        log(
            "scanned",
            folder=mirror.folder.name,
            files=survey.seen,
            new=survey.new,
            changed=survey.changed,
            missing=survey.missing,
            unreadable=survey.dark,
            ms=round((self._clock.monotonic() - began) * 1000),
        )

    async def _survey_patiently(
        self, mirror: Mirror, survey: Callable[..., Survey], *args: Any
    ) -> Survey:
        """Survey for as long as it takes; ask from time to time whether the disk still answers."""
        task = asyncio.ensure_future(self._workers.run_apart(survey, mirror, *args))
        try:
            while not (await asyncio.wait({task}, timeout=PROOF_DEADLINE_SECONDS))[0]:
                await self.prove(mirror)
            return task.result()
        finally:
            task.cancel()

    def _scanned(
        self, db: sqlite3.Connection, mirror: Mirror, survey: Survey, began_at: float
    ) -> None:
        folder_id = mirror.folder_id
        now = self._clock.wall()
        note_rules_files(db, mirror, survey.rules_files)
        folders.scanned(db, folder_id, began_at=began_at, ended_at=now)
        wants.call_again(db, folder_id, now=now)
        if folders.is_judged(db, folder_id):
            return
        files, size = holds.waiting_uploads(db, folder_id)
        reason = guard.uploads_held(
            files=files, size=size, budget_bytes=mirror.folder.upload_budget_bytes
        )
        if reason is not None:
            name = holds.hold_uploads(db, folder_id, files=files, size=size, reason=reason, now=now)
            self._log.warning("uploads_held", hold=name, folder=mirror.folder.name, reason=reason)
        folders.set_contact(db, folder_id)

    def _plan_rescan(self, mirror: Mirror) -> None:
        interval = mirror.folder.rescan_interval_seconds
        spread = 1.0 + RESCAN_JITTER * (2 * self._random.random() - 1)
        self._rescan_at[mirror.folder_id] = self._clock.monotonic() + interval * spread

    async def _halt(self, mirror: Mirror, trouble: RootTrouble, detail: str) -> None:
        folder_id = mirror.folder_id
        if self.troubles.get(folder_id) != detail:
            self._log.warning(
                "folder_halted", folder=mirror.folder.name, trouble=str(trouble), detail=detail
            )
        self.troubles[folder_id] = detail
        await self._writer.run(lambda db: folders.set_halt(db, folder_id, f"{trouble}: {detail}"))
        retry_at = self._clock.monotonic() + TROUBLED_RESCAN_SECONDS
        self._rescan_at[folder_id] = min(self._rescan_at.get(folder_id, retry_at), retry_at)

    async def _go_on(self, mirror: Mirror, proof: root.Proof, pinned: Identity | None) -> None:
        folder_id = mirror.folder_id
        if proof.moved:
            self._log.warning("root_pinned_anew", folder=mirror.folder.name)
        filled = pinned is not None and pinned.empty and not (proof.identity or pinned).empty
        if proof.identity is not None and (proof.identity != pinned or filled):
            text = proof.identity.to_json()
            await self._writer.run(lambda db: folders.set_identity(db, folder_id, text))
        if self.troubles.pop(folder_id, None) is not None:
            self._log.info("folder_goes_on", folder=mirror.folder.name)
            self.mark(folder_id)
        await self._writer.run(lambda db: folders.set_halt(db, folder_id, None))

    def _ended(self, folder_id: int, task: asyncio.Task[None]) -> None:
        self._tasks.pop(folder_id, None)
        self._ended_rounds[folder_id] = self._begun[folder_id]
        if not task.cancelled() and task.exception() is not None:
            self._log.error("survey_crashed", exc_info=task.exception())
            self._rescan_at[folder_id] = self._clock.monotonic() + TROUBLED_RESCAN_SECONDS
        self.on_change()


def _evidence(
    db: sqlite3.Connection, folder_id: int
) -> tuple[Identity | None, list[tuple[bytes, Stamp]], int]:
    identity = folders.identity(db, folder_id)
    known, count = entries.evidence(db, folder_id, limit=root.SAMPLE)
    return (None if identity is None else Identity.from_json(identity)), known, count
