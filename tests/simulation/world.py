"""A world to run fileferry in: a disk, the emulator, a clock, and the lives of one engine after another.

A life is a fresh event loop with a fresh engine over the same index. It ends in order, or by a `Crash`, which leaves
the loop at once: nothing of that engine runs again, its transaction is rolled back, its descriptors are closed.
Everything else is real: the engine, the SDK, the emulator, SQLite, the files.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import tempfile
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fileferry.daemon.assembly import assemble, open_index
from fileferry.emulator import create_app
from fileferry.index.writer import InlineWriter
from fileferry.model import Folder, RemoteSettings
from fileferry.plan import backoff
from fileferry.remote import openai
from fileferry.remote.pacing import Pace
from simulation.disk import Disk
from simulation.fate import Crash, Figures, Plan, Violation
from simulation.loop import VirtualClock, VirtualLoop
from simulation.watched import TraceLog, WatchedTransport, WatchedWorkers, WatchedWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from fileferry.daemon.assembly import Assembly
    from fileferry.remote.base import Remote

BASE_WALL = 1_900_000_000.0
"""Wall seconds at virtual zero: a constant, so that a seed always gives the same trace."""


class World:
    """One host, its disk and its remote.

    Args:
        seed: of everything that is left to chance.
        home: an empty directory.
        folders: their roots are made here: give paths as `make` returns them.
    """

    def __init__(self, seed: int, home: str) -> None:
        self.random = random.Random(f"world {seed}")
        self.loop: VirtualLoop | None = None
        self._virtual_now = 0.0
        self.clock = VirtualClock(BASE_WALL, self.now)
        self.disk = Disk(home, self.clock.wall, self.now)
        self.home = home
        self.state_directory = os.path.join(home, "state")
        os.mkdir(self.state_directory)
        self.folders: list[Folder] = []
        self.settings = RemoteSettings(base_url="http://emulator/v1", check_interval_seconds=600.0)
        self.plan = Plan()
        self.figures = Figures()
        self.trace: list[tuple[float, str]] = []
        self.violations: list[Violation] = []
        self.assembly: Assembly | None = None
        self.writer: WatchedWriter | None = None
        self.is_dead = False
        self.points = 0
        self.foreign_hand = False  # somebody else is at the emulator's store just now
        self.expected_errors = 0
        self.answered: set[object] = set()  # tasks that have an answer which is not recorded
        self.on_commit: Callable[[sqlite3.Connection], None] = lambda _db: None
        self.writer_type: type[WatchedWriter] = WatchedWriter
        self.workers_type: type[WatchedWorkers] = WatchedWorkers
        self.wrap_remote: Callable[[Remote], Remote] = lambda remote: remote
        with _temporary_directory(home):
            self.app = create_app(clock=self.clock.true_wall, inline_io=True, seed=seed)
        self.emulator = self.app.state.emulator

    # Time and what is told

    def now(self) -> float:
        """Return virtual seconds."""
        return self._virtual_now if self.loop is None else self.loop.time()

    def tell(self, text: str) -> None:
        """Add to the trace."""
        self.trace.append((round(self.now(), 6), text))

    def object(self, rule: str, detail: str) -> None:
        """Note that a rule did not hold."""
        detail = detail.replace(self.home, "")
        self.tell(f"VIOLATION {rule}: {detail}")
        self.violations.append(Violation(rule, detail, self.now()))

    def point(self, what: str) -> None:
        """Pass a place at which the process may be killed.

        Raises:
            Crash: it is killed here, or was before.
        """
        if self.is_dead:
            raise Crash(what)
        self.points += 1
        if self.plan.fuse is not None:
            self.plan.fuse -= 1
            if self.plan.fuse <= 0:
                self.die(what)

    def die(self, what: str) -> None:
        """Kill the process now."""
        self.is_dead = True
        self.plan.fuse = None
        self.tell(f"killed at {what}")
        raise Crash(what)

    # Lives

    def live(self, story: Callable[[], Awaitable[None]]) -> None:
        """Start an engine, let `story` run beside it, and stop it in order, unless something kills it."""
        self.figures.lives += 1
        self.loop = VirtualLoop(self._virtual_now)
        self.is_dead = False
        asyncio.set_event_loop(self.loop)
        try:
            with self.disk.seen_by_fileferry(), _temporary_directory(self.home):
                self._live(story)
        finally:
            for complaint in self.loop.complaints:
                self.object("no task fails unseen", complaint)
            self._virtual_now = self.loop.time()
            self.loop.drop()
            asyncio.set_event_loop(None)
            self.loop = self.assembly = self.writer = None

    def _live(self, story: Callable[[], Awaitable[None]]) -> None:
        assert self.loop is not None
        writer: WatchedWriter | None = None
        try:
            inner = open_index(self.state_directory, inline=True)
            assert isinstance(inner, InlineWriter)
            self.writer = writer = self.writer_type(self, inner)
            self.loop.run_until_complete(self._with_engine(writer, story))
            writer.close()
            self.tell("stopped")
        except Crash:
            self.figures.crashes += 1
            if writer is not None:
                self.figures.lost_answers += writer.count_open_intents()
        except (sqlite3.OperationalError, OSError) as error:
            if self.expected_errors == 0:
                self.object("the engine goes on", repr(error))
                return
            self.expected_errors -= 1
            if writer is not None:
                self.figures.lost_answers += writer.count_open_intents()
            self.tell(f"ended by {error!r}")
        except Exception as error:  # noqa: BLE001 - whatever it is, this history has failed by it
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.object("the engine goes on", f"{error!r} at {place.filename}:{place.lineno}")
        finally:
            self.is_dead = True
            if writer is not None:
                writer.drop()

    async def _with_engine(
        self, writer: WatchedWriter, story: Callable[[], Awaitable[None]]
    ) -> None:
        self.assembly = assemble(
            folders=self.folders,
            settings=self.settings,
            state_directory=self.state_directory,
            writer=writer,
            workers=self.workers_type(self),
            clock=self.clock,
            log=TraceLog(self),
            connect=self._connect,
            scan_for_deletes=True,
            random=random.Random(self.random.random()),
        )
        self.tell("started")
        engine = self.assembly.engine
        running = asyncio.ensure_future(engine.run(_turn))
        telling = asyncio.ensure_future(story())
        await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            telling.cancel()
            running.result()
            raise AssertionError("the engine stopped by itself")
        telling.result()
        engine.stop()
        await running

    def _connect(self) -> tuple[Remote, Pace]:
        remote = openai.connect(
            api_key="sk-simulation",
            base_url=self.settings.base_url,
            organization=None,
            project=None,
            clock=self.clock,
            offload=self.workers_type(self).run,
            transport=WatchedTransport(self),
        )
        jitter = random.Random(self.random.random())
        pace = Pace(
            self.clock,
            uploads_per_minute=self.settings.uploads_per_minute,
            concurrency=self.settings.concurrency,
            delay=lambda failures: backoff.delay_seconds(failures, jitter.random()),
        )
        return self.wrap_remote(remote), pace

    def close(self) -> None:
        """Remove what is temporary."""
        self.emulator.close()

    async def breathe(self) -> None:
        """Let others have a turn, as a thread or a disk would: mostly none, sometimes some milliseconds."""
        luck = self.random.random()
        if luck < 0.7:
            await asyncio.sleep(0)
        elif luck < 0.9:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(self.random.random() * 0.02)

    @contextmanager
    def as_somebody_else(self) -> Iterator[None]:
        """Act on the emulator as another client would."""
        self.foreign_hand = True
        try:
            yield
        finally:
            self.foreign_hand = False


async def _turn() -> None:
    """Nobody is told of the turns of the loop."""


@contextmanager
def _temporary_directory(home: str) -> Iterator[None]:
    before = tempfile.tempdir
    tempfile.tempdir = home
    try:
        yield
    finally:
        tempfile.tempdir = before


__all__ = ["BASE_WALL", "World"]
