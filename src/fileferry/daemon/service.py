"""The daemon as a process: lock, signals, systemd, orderly stop. What it mirrors is the engine's business."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fileferry.clock import rfc3339
from fileferry.daemon.alarm import Alarm
from fileferry.daemon.assembly import assemble, close_index, connector, open_index
from fileferry.daemon.barrier import Barrier
from fileferry.daemon.control import Control
from fileferry.daemon.enlist import HALT_KEY
from fileferry.daemon.lock import Lock
from fileferry.daemon.notify import Notifier
from fileferry.daemon.upkeep import Upkeep
from fileferry.daemon.watcher import Watcher
from fileferry.daemon.workers import ThreadWorkers
from fileferry.errors import FerryError, IndexGone, IndexUnwritable, LockHeld
from fileferry.index import folders, holds, horizon
from fileferry.index.writer import Patience

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from fileferry.clock import Clock
    from fileferry.config.load import Config
    from fileferry.daemon.engine import Engine
    from fileferry.daemon.logs import Log
    from fileferry.index.writer import Writer

STATUS_SECONDS = 1.0
LOCK_PATIENCE_SECONDS = 1.0
LOCK_STEP_SECONDS = 0.05
STOP_PATIENCE_SECONDS = 3.0


class Service:
    """Runs an engine until a signal, and a new one after each reload.

    Args:
        load: reads the configuration.
        environ: the environment.
        clock, log: collaborators.
    """

    def __init__(
        self, load: Callable[[], Config], environ: Mapping[str, str], *, clock: Clock, log: Log
    ) -> None:
        self._load = load
        self._environ = environ
        self._clock = clock
        self._log = log
        self._notifier = Notifier(environ)
        self._started_at = clock.wall()
        self._stopping = False
        self.interrupted = False
        self._config: Config | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._engine: Engine | None = None
        self._watcher: Watcher | None = None
        self._patience = Patience()
        self._upkeep: Upkeep | None = None
        self._alarm: Alarm | None = None
        self._status_at = 0.0
        self._said = ""
        self._retell: asyncio.TimerHandle | None = None

    def run(self) -> None:
        """Mirror until SIGTERM or SIGINT.

        Raises:
            FerryError: it cannot start: configuration, lock, index.
        """
        # The key is in memory: no core file may hold it.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        config = self._load()
        while True:
            self._config = config
            self._patience = Patience(float("inf"), self._disk_changed)
            lock = self._lock(config.state.directory)
            try:
                lock.add_roots(folder.root for folder in config.folders)
                writer = open_index(
                    config.state.directory, group=config.state.group, patience=self._patience
                )
                try:
                    asyncio.run(self._serve(config, writer))
                finally:
                    close_index(writer, config.state.directory)
            finally:
                lock.close()
            if self._stopping:
                return
            config = self._reloaded()

    def _lock(self, state_directory: str) -> Lock:
        """Lock the state; a command that holds it for a moment is waited for, a daemon is not."""
        deadline = self._clock.monotonic() + LOCK_PATIENCE_SECONDS
        while True:
            try:
                return Lock(state_directory)
            except LockHeld:
                if self._clock.monotonic() >= deadline:
                    raise
                time.sleep(LOCK_STEP_SECONDS)  # no loop runs yet

    def _reloaded(self) -> Config:
        """Read the configuration again; keep the one that is in use where the new one cannot be used."""
        before = self._config
        assert before is not None, "set before anything runs"
        try:
            return self._load()
        except FerryError as error:
            self._log.error("reload_failed", error=error.message, hint=error.hint)
            return before

    async def _serve(self, config: Config, writer: Writer) -> None:
        workers = ThreadWorkers()
        connect = connector(
            config.remote, clock=self._clock, workers=workers, log=self._log, environ=self._environ
        )
        assembly = assemble(
            folders=config.folders,
            settings=config.remote,
            state_directory=config.state.directory,
            writer=writer,
            workers=workers,
            clock=self._clock,
            log=self._log,
            connect=connect,
            scan_for_deletes=True,
        )
        engine = self._engine = assembly.engine
        engine.on_step = self._notifier.alive
        if self._notifier.watchdog_seconds is not None:
            third = self._notifier.watchdog_seconds / 3  # two reports may be late or lost
            engine.longest_sleep_seconds = min(engine.longest_sleep_seconds, third)
        loop = asyncio.get_running_loop()
        self._retell = None  # one of an earlier loop went with it
        watcher = self._watcher = Watcher(
            engine.mirrors,
            engine.lookout,
            workers=workers,
            clock=self._clock,
            loop=loop,
            log=self._log,
        )
        control = Control(
            engine,
            writer=writer,
            barrier=Barrier(engine, writer, self._clock),
            clock=self._clock,
            status=self._status,
        )
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        watcher.start()
        await control.start(config.state.directory)
        self._log.info(
            "started", version=version("fileferry"), folders=len(config.folders), pid=os.getpid()
        )
        self._notifier.ready()
        self._upkeep = Upkeep(config.state.directory, clock=self._clock, log=self._log)
        self._alarm = Alarm(
            writer=writer,
            clock=self._clock,
            server_now=engine.liaison.server_now,
            trouble=lambda: engine.liaison.trouble,
            log=self._log,
        )
        heart = asyncio.create_task(self._beat())
        try:
            await engine.run(lambda: self._turn(watcher, writer))
            if not self._stopping:
                await writer.run(lambda _: None)  # an index that is gone is not begun anew
        except IndexGone as error:
            self._log.error("index_gone", error=error.message, hint=error.hint)
            raise
        except IndexUnwritable as error:
            if not self._stopping:
                raise
            self._log.error("stopped_unwritten", error=error.message)
        finally:
            heart.cancel()
            await self._upkeep.stop()
            if self._stopping:
                self._notifier.stopping()
            await control.stop(config.state.directory)
            await workers.run(watcher.stop)
            workers.close()
        self._log.info("stopped" if self._stopping else "reloading")

    async def _turn(self, watcher: Watcher, writer: Writer) -> None:
        self._notifier.alive()
        await watcher.tend()
        if self._alarm is not None:
            await self._alarm.look()
        now = self._clock.monotonic()
        if now >= self._status_at:
            self._status_at = now + STATUS_SECONDS
            line = await writer.run(self._status_line)
            if line == self._said:
                return
            self._notifier.status(line)
            self._said = line
        # What changes from here on is told too, however long the loop would rest. One timer: a turn that each of
        # many timers causes would set the next.
        if self._retell is None:
            self._retell = asyncio.get_running_loop().call_later(STATUS_SECONDS, self._tell_again)

    async def _beat(self) -> None:
        """Look after the index; speak for a loop whose pass waits for it: it is alive, and says what it waits for."""
        while True:
            await self._clock.sleep(STATUS_SECONDS)
            if self._upkeep is not None:
                self._upkeep.tend()
            if self._patience.trouble is not None:
                self._notifier.alive()
                self._said = self._unwritable() or ""
                self._notifier.status(self._said)

    def _unwritable(self) -> str | None:
        trouble = self._patience.trouble
        return trouble and f"nothing is sent: the index cannot be written: {trouble}"

    def _disk_changed(self, trouble: str | None) -> None:
        """Log what the index's disk does, once. Called from the writer's thread."""
        if trouble is not None:
            hint = "free space on the disk of [state] directory, or end what locks the index"
            self._log.error("index_unwritable", error=trouble, hint=hint)
        else:
            self._log.info("index_writable_again")

    def _tell_again(self) -> None:
        self._retell = None
        if self._engine is not None:
            self._engine.wake()

    def _stop(self) -> None:
        if self._stopping:
            # A second signal means now: the kernel lets go of the locks, the next start goes on from the index.
            os._exit(128 + signal.SIGTERM)
        self._stopping = True
        self._patience.shorten(STOP_PATIENCE_SECONDS)
        if self._engine is not None:
            self._engine.stop()

    def _interrupt(self) -> None:
        self.interrupted = True
        self._stop()

    def _reload(self) -> None:
        self._notifier.reloading(int(self._clock.monotonic() * 1e6))
        if self._reloading is None:
            self._reloading = asyncio.get_running_loop().create_task(self._take_up())
            self._reloading.add_done_callback(self._taken_up)

    async def _take_up(self) -> None:
        """Apply a changed configuration: its bandwidth at once, anything else with a new engine."""
        before, engine = self._config, self._engine
        assert before is not None
        assert engine is not None
        after = await asyncio.to_thread(
            self._reloaded
        )  # a mount that hangs may keep it for seconds
        bandwidth = after.remote.bandwidth_bytes_per_second
        remote = replace(before.remote, bandwidth_bytes_per_second=bandwidth)
        if (after.remote, after.state, after.folders) != (remote, before.state, before.folders):
            engine.stop()
            return
        engine.liaison.set_bandwidth(bandwidth)
        self._config = after
        self._log.info("reloaded", bandwidth=bandwidth)
        self._notifier.ready()

    def _taken_up(self, task: asyncio.Task[None]) -> None:
        self._reloading = None
        if not task.cancelled() and task.exception() is not None:
            self._log.error("reload_crashed", exc_info=task.exception())

    def _status_line(self, db: sqlite3.Connection) -> str:
        tally = horizon.tally(db)
        parts = [
            f"{tally.states.get('synced', 0)} in sync",
            f"{tally.pending} pending",
            f"{tally.failed} in error",
            f"watch {self._worst_coverage()}",
        ]
        parts += [f"{hold.files} {hold.kind}s held ({hold.name})" for hold in holds.undecided(db)]
        assert self._engine is not None
        if (transfer := self._engine.liaison.transfer) is not None:
            share = transfer.sent_bytes / transfer.cut.size
            parts.append(f"sending {transfer.path}: {share:.0%}")
        parts += [f"halted: {detail}" for detail in self._engine.lookout.troubles.values()]
        if halt := folders.meta(db, HALT_KEY) or self._engine.liaison.halted:
            parts.append(f"halted: {halt}")
        if self._alarm is not None and self._alarm.words is not None:
            parts.append(self._alarm.words)
        trouble = self._engine.liaison.trouble
        if trouble is not None:
            parts.append(trouble.message)
        return ", ".join(parts)

    def _worst_coverage(self) -> str:
        assert self._watcher is not None
        order = ("polling", "degraded", "ok")
        found = {str(value) for value in self._watcher.coverage.values()}
        return next((name for name in order if name in found), "ok")

    def _status(self) -> dict[str, Any]:
        engine, watcher = self._engine, self._watcher
        assert engine is not None
        assert watcher is not None
        until = engine.switches.paused_until if engine.paused else None
        trouble, transfer = engine.liaison.trouble, engine.liaison.transfer
        return {
            "running": True,
            "pid": os.getpid(),
            "version": version("fileferry"),
            "started_at": rfc3339(self._started_at),
            "paused": until is not None,
            "paused_until": None if until in {None, float("inf")} else rfc3339(until or 0.0),
            "watch": {
                engine.mirrors[folder_id].folder.name: str(coverage)
                for folder_id, coverage in watcher.coverage.items()
            },
            "watch_overflows_total": watcher.overflows,
            "watch_misses_total": engine.lookout.misses,
            "passes": engine.passes,
            "last_pass_at": None if engine.last_pass_at is None else rfc3339(engine.last_pass_at),
            "in_flight": engine.progress.in_flight_files,
            "in_flight_bytes": engine.progress.in_flight_bytes,
            "sending": [] if transfer is None else [transfer.facts()],
            "uploaded": engine.progress.sent_files,
            "uploaded_bytes": engine.progress.sent_bytes,
            "deleted": engine.progress.deleted,
            "clock_skew_seconds": engine.liaison.server_now() - self._clock.wall(),
            "trouble": self._unwritable() or (None if trouble is None else trouble.message),
            "halted": dict(
                zip(
                    (engine.mirrors[key].folder.name for key in engine.lookout.troubles),
                    engine.lookout.troubles.values(),
                    strict=True,
                )
            ),
        }
