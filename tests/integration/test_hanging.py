"""A disk that does not answer, as a dead network mount: its folder halts, and nobody else waits for it."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator_process import EmulatorProcess
from fileferry.clock import SystemClock
from fileferry.daemon import lookout
from fileferry.daemon.assembly import assemble, connector, open_index
from fileferry.daemon.barrier import Barrier
from fileferry.daemon.engine import Engine
from fileferry.daemon.logs import Log
from fileferry.daemon.workers import ThreadWorkers
from fileferry.index.writer import Writer
from fileferry.model import Folder, RemoteSettings

KEY = "sk-hanging-secret"


class DeadMount:
    """Makes every look at one directory hang until it answers again."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = os.fsencode(directory)
        self.answers = threading.Event()
        self.answers.set()
        for name in ("stat", "open", "scandir", "lstat"):
            monkeypatch.setattr(os, name, self._hanging(getattr(os, name)))

    def _hanging(self, really: Any) -> Any:
        def look(path: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(path, bytes) and path.startswith(self.root):
                self.answers.wait()
            return really(path, *args, **kwargs)

        return look


@asynccontextmanager
async def running(
    tmp_path: Path, emulator: EmulatorProcess
) -> AsyncIterator[tuple[Engine, Writer]]:
    """Run an engine for the folders `dead` and `well`, scanned every half second."""
    emulator.set_key(KEY, project="proj_hanging")
    clock, log, workers = SystemClock(), Log("error"), ThreadWorkers()
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    writer = open_index(str(state))
    settings = RemoteSettings(base_url=emulator.base_url)
    engine = assemble(
        folders=[
            Folder(
                name, os.fsencode(tmp_path / name), settle_seconds=0, rescan_interval_seconds=0.5
            )
            for name in ("dead", "well")
        ],
        settings=settings,
        state_directory=str(state),
        writer=writer,
        workers=workers,
        clock=clock,
        log=log,
        connect=connector(
            settings, clock=clock, workers=workers, log=log, environ={"OPENAI_API_KEY": KEY}
        ),
        scan_for_deletes=True,
    ).engine

    async def turn() -> None:
        """No watcher: every change is found by a scan."""

    task = asyncio.create_task(engine.run(turn))
    try:
        yield engine, writer
    finally:
        engine.stop()
        await task
        writer.close()
        workers.close()


async def files(writer: Writer) -> dict[str, tuple[str, int]]:
    """Return state and size of every path, with its folder."""
    rows = await writer.run(
        lambda db: db.execute("SELECT folder || ':' || path, state, size FROM files").fetchall()
    )
    return {path: (state, size) for path, state, size in rows}


async def until(writer: Writer, path: str, wanted: tuple[str, int]) -> None:
    while (await files(writer)).get(path) != wanted:  # noqa: ASYNC110 - bounded by the test's time-out
        await asyncio.sleep(0.02)


async def test_a_folder_whose_disk_hangs_halts_alone_and_goes_on_by_itself(
    tmp_path: Path, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "PROOF_DEADLINE_SECONDS", 0.3)
    monkeypatch.setattr(lookout, "TROUBLED_RESCAN_SECONDS", 0.3)
    for name in ("dead", "well"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    mount = DeadMount(tmp_path / "dead", monkeypatch)
    async with running(tmp_path, emulator) as (engine, writer):
        await until(writer, "dead:a.txt", ("synced", 4))
        await until(writer, "well:a.txt", ("synced", 4))

        mount.answers.clear()
        while not engine.lookout.hanging:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        (tmp_path / "well" / "b.txt").write_text("of another")
        await until(writer, "well:b.txt", ("synced", 10))
        (tmp_path / "well" / "a.txt").unlink()
        while "well:a.txt" in await files(writer):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert (await files(writer))["dead:a.txt"] == ("synced", 4)
        (dead_id,) = engine.lookout.hanging
        arrival = await Barrier(engine, writer, SystemClock()).wait(
            [(folder_id, b"") for folder_id in engine.mirrors], timeout_seconds=30
        )
        assert arrival.troubled == (("dead", engine.lookout.troubles[dead_id]),)
        assert "does not answer" in engine.lookout.troubles[dead_id]
        assert await engine.settled()

        mount.answers.set()
        with open(tmp_path / "dead" / "a.txt", "a") as file:
            file.write(", and well again")
        await until(writer, "dead:a.txt", ("synced", 20))
        assert not engine.lookout.troubles
