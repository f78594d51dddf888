"""A `sync` that does the work itself, because no daemon runs."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from fileferry.cli.outcome import report
from fileferry.clock import SystemClock
from fileferry.daemon.assembly import assemble, close_index, connector, open_index
from fileferry.daemon.logs import Log
from fileferry.daemon.outcome import outcome_of
from fileferry.daemon.workers import ThreadWorkers
from fileferry.index import wants
from fileferry.index.writer import Patience

if TYPE_CHECKING:
    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.daemon.engine import Engine
    from fileferry.index.writer import Writer

PATIENCE_SECONDS = 10.0  # for a disk that is full: somebody waits for an answer


def sync_here(config: Config, context: Context, *, now: bool, as_json: bool, verbose: bool) -> int:
    """Run an engine until all that can be done now is done; return the exit code."""
    clock = SystemClock()
    log = Log("info" if verbose else "error")
    writer = open_index(
        config.state.directory, group=config.state.group, patience=Patience(PATIENCE_SECONDS)
    )
    workers = ThreadWorkers()
    try:
        assembly = assemble(
            folders=config.folders,
            settings=config.remote,
            state_directory=config.state.directory,
            writer=writer,
            workers=workers,
            clock=clock,
            log=log,
            connect=connector(
                config.remote, clock=clock, workers=workers, log=log, environ=context.environ
            ),
            scan_for_deletes=False,
        )
        engine = assembly.engine
        writer.submit(lambda db: wants.hurry(db, now=clock.wall())).result()
        interrupted = asyncio.run(_drain(engine, writer, context, now=now))
        outcome = writer.submit(lambda db: outcome_of(db, engine, now=clock.wall())).result()
    finally:
        close_index(writer, config.state.directory)
        workers.close()
    if interrupted:
        raise KeyboardInterrupt
    return report(outcome, context, as_json=as_json)


async def _drain(engine: Engine, writer: Writer, context: Context, *, now: bool) -> bool:
    """Drain the engine; say whether somebody interrupted it."""
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        engine.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    engine.switches.delete_now = now
    watcher = None
    if context.err.isatty():
        from fileferry.cli.bars import show

        watcher = asyncio.create_task(show(engine, writer))
    try:
        await engine.drain(rounds=2 if now else 1)
    finally:
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
    return interrupted
