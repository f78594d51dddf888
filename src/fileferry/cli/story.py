"""The stage of the demo: an emulator process, a root, an index, and a clock that can be moved with the emulator's."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from fileferry.clock import SystemClock
from fileferry.daemon.assembly import assemble, close_index, connector, open_index
from fileferry.daemon.logs import Log
from fileferry.daemon.workers import ThreadWorkers
from fileferry.errors import FerryError
from fileferry.index.reader import Reader, answer
from fileferry.model import Folder, RemoteSettings

if TYPE_CHECKING:
    from fileferry.cli.context import Context

LIFE_SECONDS = 7_200
SHOWN_ROWS = 12


@dataclass(frozen=True, slots=True)
class Sent:
    """What arrived at the emulator in one step."""

    uploads: int
    upload_bytes: int
    deletes: int
    requests: int


class MovableClock(SystemClock):
    """The system's clock, ahead by what the story has skipped."""

    ahead_seconds = 0.0

    def wall(self) -> float:
        """Seconds since 1970, in the story."""
        return super().wall() + self.ahead_seconds


class Sandbox:
    """Runs syncs of one folder against an emulator of its own."""

    def __init__(self, root: str, state: str, context: Context) -> None:
        self._root = root
        self._state = state
        self._context = context
        self._clock = MovableClock()
        self._folder = Folder(
            name="handbook",
            root=os.fsencode(root),
            expires_after_seconds=LIFE_SECONDS,
            settle_seconds=0.05,
            delete_delay_seconds=0.0,
            retire_delay_seconds=0.0,
            ignore=("drafts/",),
        )
        self._emulator: subprocess.Popen[str] | None = None
        self.base_url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "fileferry", "emulator", "--port", "0"]
        self._emulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self._emulator.stdout is not None
        line = self._emulator.stdout.readline()
        if not line.startswith("listening on "):
            raise FerryError("the bundled emulator did not start")
        self.base_url = line.removeprefix("listening on ").strip()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._emulator is not None
        self._emulator.terminate()
        self._emulator.wait(timeout=10)
        assert self._emulator.stdout is not None
        self._emulator.stdout.close()

    def sync(self, *, now: bool) -> Sent:
        """Sync once and return what arrived."""
        os.makedirs(self._state, mode=0o700, exist_ok=True)
        self._switchboard("DELETE", "requests")
        settings = RemoteSettings(base_url=self.base_url, list_lag_seconds=1.0)
        log = Log("error")
        writer = open_index(self._state)
        workers = ThreadWorkers()
        try:
            assembly = assemble(
                folders=(self._folder,),
                settings=settings,
                state_directory=self._state,
                writer=writer,
                workers=workers,
                clock=self._clock,
                log=log,
                connect=connector(
                    settings,
                    clock=self._clock,
                    workers=workers,
                    log=log,
                    environ={"OPENAI_API_KEY": "demo-key"},
                ),
                scan_for_deletes=False,
            )
            engine = assembly.engine
            engine.switches.delete_now = now

            async def drain() -> None:
                watcher = None
                if self._context.err.isatty():
                    from fileferry.cli.bars import show

                    watcher = asyncio.create_task(show(engine, writer))
                await engine.drain(rounds=2 if now else 1)
                if watcher is not None:
                    watcher.cancel()
                    await asyncio.gather(watcher, return_exceptions=True)

            asyncio.run(drain())
        finally:
            close_index(writer, self._state)
            workers.close()
        return _sent(self._switchboard("GET", "requests")["data"])

    def table(self) -> list[str]:
        """Return path and id of the files, the first few of them."""
        with Reader(self._state) as reader:
            rows = [
                f"{row['path'].decode('utf-8', 'backslashreplace'):<40} ->"
                f" {answer(row, self._clock.wall()) or '(' + row['state'] + ')'}"
                for row in reader.below(None)
            ]
        more = len(rows) - SHOWN_ROWS
        return rows[:SHOWN_ROWS] + ([f"... and {more:,} more"] if more > 0 else [])

    def some_file(self) -> str:
        """Return a file in a subdirectory that is mirrored, or any."""
        files = self._files()
        return next((name for name in files if "/" in name), files[0])

    def distinct_contents(self) -> int:
        """Return how many uploads a first sync takes: the plan of a dry run says it."""
        import tempfile

        from fileferry.daemon.rehearsal import Rehearsal

        with tempfile.TemporaryDirectory() as scratch:
            rehearsal = Rehearsal(self._state, scratch, self._clock)
            steps = rehearsal.plan((self._folder,), RemoteSettings(base_url=self.base_url))
        return sum(step.action == "upload" for step in steps)

    def live_contents(self) -> int:
        """Return how many ids are alive in the index."""
        with Reader(self._state) as reader:
            rows = reader.rows("SELECT count(*) AS n FROM remote WHERE state = 'live'")
            return int(next(rows)["n"])

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to a file."""
        with open(os.path.join(self._root, name), "ab") as file:
            file.write(data)

    def rename(self, source: str, target: str) -> None:
        """Rename a file or a directory."""
        os.rename(os.path.join(self._root, source), os.path.join(self._root, target))

    def copy_all(self, target: str) -> None:
        """Copy everything below the root into a directory there."""
        skip = {target, "drafts"}
        for name in sorted(set(os.listdir(self._root)) - skip):
            source = os.path.join(self._root, name)
            copy = os.path.join(self._root, target, name)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            if os.path.isdir(source):
                shutil.copytree(source, copy, symlinks=True)
            else:
                shutil.copy(source, copy, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove a directory."""
        shutil.rmtree(os.path.join(self._root, name))

    def remove_one(self) -> None:
        """Remove a file whose bytes stand nowhere else."""
        with Reader(self._state) as reader:
            row = next(
                reader.rows(
                    "SELECT path FROM entry WHERE state = 'synced' GROUP BY held_id HAVING count(*) = 1 LIMIT 1"
                )
            )
        os.unlink(os.path.join(os.fsencode(self._root), row["path"]))

    def pass_time(self, seconds: int) -> None:
        """Move the emulator's clock and ours ahead."""
        self._clock.ahead_seconds += seconds
        self._switchboard("POST", "clock", {"advance": seconds})

    def _files(self) -> list[str]:
        found = []
        for here, directories, names in os.walk(self._root):
            directories[:] = sorted(set(directories) - {"drafts"})
            for name in sorted(names):
                path = os.path.join(here, name)
                if not os.path.islink(path) and os.path.getsize(path):
                    found.append(os.path.relpath(path, self._root))
        return found

    def _switchboard(self, method: str, what: str, body: object = None) -> dict[str, Any]:
        url = self.base_url.removesuffix("/v1") + "/_emulator/" + what
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the emulator that we started
            url, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            text = response.read()
        return json.loads(text) if text else {}


def _sent(requests: list[dict[str, Any]]) -> Sent:
    uploads = [each for each in requests if each["method"] == "POST" and each["status"] == 200]
    deletes = [each for each in requests if each["method"] == "DELETE" and each["status"] == 200]
    return Sent(
        len(uploads), sum(each["bytes"] or 0 for each in uploads), len(deletes), len(requests)
    )
