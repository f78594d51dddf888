"""What the integration tests share: an installation beside an emulator, and questions to both."""

import contextlib
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
from emulator_process import EmulatorProcess
from installed import Installation

__all__ = ["Ferry", "daemon", "eventually"]


class Ferry(Installation):
    """An installation with a key and a project of its own at a shared emulator."""

    def __init__(self, home: Path, emulator: EmulatorProcess, secret: str) -> None:
        self.emulator = emulator
        self.secret = secret
        self.project = f"proj_{secret[3:]}"
        self.is_fresh = False  # True: never forked, whatever the tests were told
        super().__init__(home, emulator.base_url)
        self.environ["OPENAI_API_KEY"] = secret
        emulator.clear_faults()
        emulator.set_key(secret, project=self.project)

    def stored(self) -> list[dict[str, Any]]:
        """Return what this project has at the remote now."""
        return [
            file
            for file in self.emulator.files()
            if file["project"] == self.project and not file["deleted"]
        ]

    def names(self) -> list[str]:
        """Return the names of what is there."""
        return sorted(str(file["filename"]) for file in self.stored())

    def ids(self) -> set[str]:
        """Return the ids of what is there."""
        return {str(file["id"]) for file in self.stored()}

    def uploads(self) -> int:
        """Return how many uploads this project has ever sent, whatever became of them."""
        return len(
            [
                request
                for request in self.emulator.requests()
                if request["method"] == "POST"
                and request["path"] == "/v1/files"
                and request["project"] == self.project
            ]
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the public views, as any program may: it is quicker than a command."""
        db = sqlite3.connect(f"file:{self.state}/index.db?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def states(self) -> dict[str, str]:
        """Return the state of every path in the index."""
        return dict(self.query("SELECT path, state FROM files"))

    def file_id(self, path: str) -> str:
        """Return the id of a path of the folder."""
        ((file_id,),) = self.query(f"SELECT file_id FROM files WHERE path = '{path}'")
        assert file_id is not None
        return str(file_id)

    def events(self) -> list[tuple[str, str]]:
        """Return the log of changes: event and path."""
        return [
            (str(event), str(path))
            for event, path in self.query("SELECT event, path FROM changes ORDER BY seq")
        ]


def eventually(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"{what} never came true"
        time.sleep(0.02)
    return answer


@contextlib.contextmanager
def daemon(ferry: Ferry) -> Iterator[subprocess.Popen[str]]:
    """Run the daemon; what it logs is in `ferry.home / "log"`."""
    with open(ferry.home / "log", "a", encoding="utf-8") as log:
        process = processes.start(
            ferry.command,
            ["-v", "run"],
            is_fresh=ferry.is_fresh,
            env=ferry.environ,
            cwd=ferry.home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            log_path = ferry.home / "log"
            started = f'"pid": {process.pid}'
            eventually(lambda: started in log_path.read_text() or process.poll() is not None)
            assert process.poll() is None, log_path.read_text()
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    raise
