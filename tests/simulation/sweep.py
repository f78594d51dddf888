"""The failure sweep: one small story, told again and again, and each time the next call is the one that goes wrong.

The story: a first sync of four files, two of them alike; an edit, a rename, a delete without delay; a renewal. It is
told until nothing was left that could still go wrong at the chosen kind of call.
"""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fileferry.errors import OutcomeUnknown, RemoteUnavailable
from fileferry.model import Folder
from simulation.story import ask_again
from simulation.watched import WatchedWorkers, WatchedWriter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from fileferry.model import RemoteFile
    from fileferry.remote.base import Account, Body, Page, PendingUpload, Remote, Upload
    from simulation.witness import Witness
    from simulation.world import World

REST_SECONDS = 2 * 3_600.0


class Failure(StrEnum):
    """What goes wrong, and at which border."""

    REMOTE_FAILS_BEFORE = "a call fails and was not done"
    REMOTE_FAILS_AFTER = "a call was done, and its answer is lost"
    REMOTE_CRASH_BEFORE = "killed before a call"
    REMOTE_CRASH_AFTER = "killed after a call"
    COMMIT_FAILS = "the disk is full at a commit"
    COMMIT_CRASH_BEFORE = "killed before a commit"
    COMMIT_CRASH_AFTER = "killed after a commit"
    WORK_FAILS = "the disk fails under a piece of work"
    WORK_CRASH = "killed before a piece of work"


def stride(failure: Failure, *, calls: int, others: int) -> int:
    """Return how many points of failure a sweep goes at once: of commits and work there are many more than of calls."""
    return calls if failure.name.startswith("REMOTE") else others


@dataclass(slots=True)
class Trap:
    """Says when it strikes: at the n-th call, once."""

    failure: Failure
    number: int
    calls: int = 0

    def strikes(self, *failures: Failure) -> bool:
        """Count a call of these kinds; say whether this is the one."""
        if self.failure not in failures:
            return False
        self.calls += 1
        return self.calls == self.number

    @property
    def has_struck(self) -> bool:
        """Say whether the call came that it waited for."""
        return self.calls >= self.number


class TrappedRemote:
    """A Remote with a trap at each of its calls."""

    def __init__(self, inner: Remote, world: World, trap: Trap) -> None:
        self._inner = inner
        self._world = world
        self._trap = trap

    async def hello(self) -> Account:
        account: Account = await self._trapped(self._inner.hello)
        return account

    async def create(self, upload: Upload, body: Body) -> RemoteFile:
        file: RemoteFile = await self._trapped(self._inner.create, upload, body)
        return file

    async def begin_upload(self, upload: Upload) -> PendingUpload:
        pending: PendingUpload = await self._trapped(self._inner.begin_upload, upload)
        return pending

    async def send_part(self, upload_id: str, body: Body, size: int) -> str:
        part_id: str = await self._trapped(self._inner.send_part, upload_id, body, size)
        return part_id

    async def complete_upload(
        self, upload_id: str, part_ids: Sequence[str], *, md5: str
    ) -> RemoteFile:
        async def complete_upload() -> RemoteFile:
            return await self._inner.complete_upload(upload_id, part_ids, md5=md5)

        file: RemoteFile = await self._trapped(complete_upload)
        return file

    async def cancel_upload(self, upload_id: str) -> None:
        await self._trapped(self._inner.cancel_upload, upload_id)

    async def page(self, after: str | None) -> Page:
        page: Page = await self._trapped(self._inner.page, after)
        return page

    async def get(self, file_id: str) -> RemoteFile:
        file: RemoteFile = await self._trapped(self._inner.get, file_id)
        return file

    async def delete(self, file_id: str) -> None:
        await self._trapped(self._inner.delete, file_id)

    def skew_seconds(self) -> float:
        return self._inner.skew_seconds()

    def is_time_doubtful(self) -> bool:
        return self._inner.is_time_doubtful()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _trapped(self, call: Callable[..., Any], *args: Any) -> Any:
        trap, world = self._trap, self._world
        strikes = trap.strikes(
            Failure.REMOTE_FAILS_BEFORE,
            Failure.REMOTE_FAILS_AFTER,
            Failure.REMOTE_CRASH_BEFORE,
            Failure.REMOTE_CRASH_AFTER,
        )
        if not strikes:
            return await call(*args)
        world.tell(f"trap: {trap.failure}, {call.__name__}")
        if trap.failure is Failure.REMOTE_FAILS_BEFORE:
            raise RemoteUnavailable("a trap")
        if trap.failure is Failure.REMOTE_CRASH_BEFORE:
            world.die("a trap")
        await call(*args)
        if trap.failure is Failure.REMOTE_CRASH_AFTER:
            world.die("a trap")
        world.figures.lost_answers += 1
        if call.__name__ in {"create", "complete_upload"}:
            raise OutcomeUnknown("a trap")
        raise RemoteUnavailable("a trap")


class TrappedWriter(WatchedWriter):
    """A Writer with a trap at each of its commits."""

    trap: Trap

    def submit(self, work: Callable[[sqlite3.Connection], Any]) -> Future[Any]:
        """Do `work` now."""
        trap, world = self.trap, self._world
        strikes = trap.strikes(
            Failure.COMMIT_FAILS, Failure.COMMIT_CRASH_BEFORE, Failure.COMMIT_CRASH_AFTER
        )
        if strikes and trap.failure is Failure.COMMIT_FAILS:
            world.plan.full_commits = 1
            world.expected_errors += 1
        if strikes and trap.failure is Failure.COMMIT_CRASH_BEFORE:
            world.plan.fuse = (
                2  # the next point is before the transaction, the one after before its commit
            )
        future = super().submit(work)
        if strikes and trap.failure is Failure.COMMIT_CRASH_AFTER:
            world.die("a trap")
        return future


class TrappedWorkers(WatchedWorkers):
    """Workers with a trap at each piece of work."""

    trap: Trap

    async def run(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `work` soon."""
        if self.trap.strikes(Failure.WORK_FAILS, Failure.WORK_CRASH):
            self._world.tell(f"trap: {self.trap.failure}")
            if self.trap.failure is Failure.WORK_CRASH:
                self._world.die("a trap")
            self._world.expected_errors += 1
            raise OSError(errno.EIO, "input/output error")
        return await super().run(work, *args, **kwargs)


def prepare(world: World, trap: Trap, *, expires_after_seconds: int | None) -> None:
    """Give a world its folder and its trap."""
    world.folders.append(
        Folder(
            name="docs",
            root=world.disk.make_root(b"docs"),
            expires_after_seconds=expires_after_seconds,
            delete_delay_seconds=0.0,
            retire_delay_seconds=5.0,
            rescan_interval_seconds=120.0,
        )
    )

    class Writer(TrappedWriter):
        pass

    class Workers(TrappedWorkers):
        pass

    Writer.trap = Workers.trap = trap
    world.writer_type = Writer
    world.workers_type = Workers
    world.wrap_remote = lambda remote: TrappedRemote(remote, world, trap)


class Tale:
    """The story, one chapter at a time; a chapter that was interrupted is waited for in the next life."""

    def __init__(self, world: World, witness: Witness) -> None:
        self._world = world
        self._witness = witness
        self._chapter = 0
        self._has_begun = False

    def tell(self) -> None:
        """Tell it to its end, in as many lives as it takes."""
        world = self._world
        while self._chapter < len(_CHAPTERS):
            world.live(self._go_on)
            if world.violations or world.figures.lives > 40:
                return

    async def _go_on(self) -> None:
        while self._chapter < len(_CHAPTERS):
            if not self._has_begun:
                self._has_begun = True
                _CHAPTERS[self._chapter](self._world)
            await self._rest()
            if self._world.violations:
                return
            self._chapter += 1
            self._has_begun = False

    async def _rest(self) -> None:
        world = self._world
        deadline = world.now() + REST_SECONDS
        await asyncio.sleep(6.0)
        await ask_again(world)
        while problems := self._witness.rest.problems():
            if world.now() > deadline or world.violations:
                for problem in problems:
                    world.object("it converges", problem)
                return
            await asyncio.sleep(5.0)


def _first_sync(world: World) -> None:
    root = world.folders[0].root
    world.disk.write(root + b"/a.txt", b"alike\n")
    world.disk.write(root + b"/b.txt", b"alike\n")
    world.disk.write(root + b"/sub/c.md", b"another\n")
    world.disk.write(root + b"/sub/d.md", b"large" * 80_000)


def _edit(world: World) -> None:
    world.disk.write(world.folders[0].root + b"/a.txt", b"edited\n")
    _look(world)


def _rename(world: World) -> None:
    root = world.folders[0].root
    world.disk.rename(root + b"/sub", root + b"/moved")
    _look(world)


def _delete(world: World) -> None:
    world.disk.remove(world.folders[0].root + b"/b.txt")
    _look(world)


def _renewal(world: World) -> None:
    # Asleep until shortly before the ids run out.
    world.clock.slept_seconds += 3_000.0


def _look(world: World) -> None:
    assert world.assembly is not None
    world.assembly.engine.lookout.mark_all()


_CHAPTERS: tuple[Callable[[World], None], ...] = (_first_sync, _edit, _rename, _delete, _renewal)


__all__ = ["Failure", "Tale", "Trap", "prepare"]
