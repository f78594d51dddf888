"""The emulator as a process of its own, for tests that need sockets, signals and restarts."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

import fileferry.emulator
import processes

__all__ = ["EmulatorProcess", "Json"]

Json = dict[str, object]


class EmulatorProcess:
    """`python -m fileferry.emulator` on a free port, with its switchboard as methods."""

    def __init__(
        self,
        *,
        data: Path | None = None,
        port: int = 0,
        requests_per_minute: int | None = None,
        latency_ms: float = 0.0,
        bandwidth: float | None = None,
    ) -> None:
        args = ["--port", str(port)]
        if data is not None:
            args += ["--data", str(data)]
        if requests_per_minute is not None:
            args += ["--requests-per-minute", str(requests_per_minute)]
        if latency_ms:
            args += ["--latency", str(latency_ms)]
        if bandwidth is not None:
            args += ["--bandwidth", str(bandwidth)]
        source = str(Path(fileferry.emulator.__file__).parents[2])
        before = os.environ.get("PYTHONPATH")
        path = source if not before else os.pathsep.join((source, before))
        self._process = processes.start(
            processes.EMULATOR,
            args,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdout is not None
        first_line = self._process.stdout.readline()
        if not first_line.startswith("listening on "):
            self.kill()
            raise RuntimeError(f"the emulator did not start; it said {first_line!r}")
        self.base_url = first_line.removeprefix("listening on ").strip()
        parts = urlsplit(self.base_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host: str = parts.hostname
        self.port: int = parts.port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self._process.kill()
        self._reap(10)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        self._process.send_signal(number)
        return self._reap(10)

    def _reap(self, seconds: float) -> int:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()

    # The switchboard.

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """Send one request to the switchboard and return its answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(
                method, f"/_emulator/{path}", None if body is None else json.dumps(body)
            )
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ValueError(f"{method} /_emulator/{path}: {answer.status} {text!r}")
        return cast("Json", json.loads(text))

    def _list(self, path: str) -> list[Json]:
        return cast("list[Json]", self.call("GET", path)["data"])

    def add_fault(self, kind: str, **details: object) -> Json:
        """Plant a fault, e.g. `add_fault("drop_after", method="POST", path="/v1/files")`."""
        return self.call("POST", "faults", {"kind": kind, **details})

    def faults(self) -> list[Json]:
        """Return the planted faults with their `hits`."""
        return self._list("faults")

    def clear_faults(self) -> None:
        """Take every fault away."""
        self.call("DELETE", "faults")

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.call("POST", "clock", {"advance": seconds})

    def set_clock(self, at: float) -> None:
        """Set the wall clock."""
        self.call("POST", "clock", {"set": at})

    def now(self) -> float:
        """Return the server's time."""
        return cast("float", self.call("GET", "clock")["now"])

    def requests(self) -> list[Json]:
        """Return what was received, in order."""
        return self._list("requests")

    def clear_requests(self) -> None:
        """Forget what was received."""
        self.call("DELETE", "requests")

    def files(self) -> list[Json]:
        """Return every file that was ever stored."""
        return self._list("files")

    def add_file(self, filename: str, content: str = "x", **details: object) -> Json:
        """Make a foreign file, past every rule."""
        return self.call("POST", "files", {"filename": filename, "content": content, **details})

    def set_key(self, key: str, **details: object) -> Json:
        """Say what a key is: `status`, `project`, `organization`."""
        return self.call("POST", "keys", {"key": key, **details})

    def settings(self, **changes: object) -> Json:
        """Change settings while it runs, and return them all."""
        return self.call("POST", "settings", changes)
