"""Remotes to try the contract of a Remote on, each with the other side of it.

In process the emulator is called directly; over HTTP it is another process with real sockets.
"""

import io
import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

import httpx2

from emulator_inprocess import EmulatorTransport
from emulator_process import EmulatorProcess
from fileferry.clock import SystemClock
from fileferry.daemon.workers import ThreadWorkers
from fileferry.emulator import EmulatorApp, Fault, FaultKind, Key, KeyStatus, Moment
from fileferry.model import RemoteFile
from fileferry.remote.base import Upload
from fileferry.remote.openai import OpenAIRemote, connect

KEY = "sk-contract-0123456789abcdef"
CREATE = {"method": "POST", "path": "/v1/files"}
LARGE = 3 * 1024 * 1024


class Bench(Protocol):
    """A remote, and the other side of it."""

    remote: OpenAIRemote
    secret: str
    project: str

    def fault(self, kind: str, **details: Any) -> None: ...
    def key(self, status: str) -> None: ...
    def requests(self) -> list[dict[str, Any]]: ...
    def files(self) -> list[dict[str, Any]]: ...
    def settings(self, **changes: Any) -> None: ...
    async def foreign(self, filename: str, **details: Any) -> None: ...


def remote_at(
    base_url: str, workers: ThreadWorkers, transport: httpx2.AsyncBaseTransport | None, key: str
) -> OpenAIRemote:
    return connect(
        api_key=key,
        base_url=base_url,
        organization=None,
        project=None,
        clock=SystemClock(),
        offload=workers.run,
        transport=transport,
    )


class InProcess:
    """The emulator's application, called directly."""

    def __init__(self, app: EmulatorApp, workers: ThreadWorkers) -> None:
        self.state = app.state.emulator
        self.secret = KEY
        self.project = "proj_default"
        self.remote = remote_at("http://emulator/v1", workers, EmulatorTransport(app), KEY)

    def fault(self, kind: str, **details: Any) -> None:
        if "when" in details:
            details["when"] = Moment(details["when"])
        self.state.add_fault(Fault(FaultKind(kind), **details))

    def key(self, status: str) -> None:
        self.state.set_key(Key(KEY, KeyStatus(status)))

    def requests(self) -> list[dict[str, Any]]:
        return [asdict(request) for request in self.state.requests()]

    def files(self) -> list[dict[str, Any]]:
        return [asdict(file) for file in self.state.files()]

    def settings(self, **changes: Any) -> None:
        self.state.set_requests_per_minute(changes["requests_per_minute"])

    async def foreign(self, filename: str, **details: Any) -> None:
        await self.state.add_file(b"x", filename=filename, **details)


class OverHttp:
    """The emulator as a process, with sockets between. Each bench has a key and a project of its own."""

    numbers = itertools.count()

    def __init__(self, emulator: EmulatorProcess, workers: ThreadWorkers) -> None:
        number = next(self.numbers)
        self.emulator = emulator
        self.secret = f"{KEY}-{number}"
        self.project = f"proj_{number}"
        emulator.clear_faults()
        emulator.clear_requests()
        emulator.call("POST", "clock", {"offset": 0})
        emulator.settings(requests_per_minute=None)
        self.key("ok")
        self.remote = remote_at(emulator.base_url, workers, None, self.secret)

    def fault(self, kind: str, **details: Any) -> None:
        self.emulator.add_fault(kind, **details)

    def key(self, status: str) -> None:
        self.emulator.set_key(self.secret, status=status, project=self.project)

    def requests(self) -> list[dict[str, Any]]:
        return self.emulator.requests()

    def files(self) -> list[dict[str, Any]]:
        return [file for file in self.emulator.files() if file["project"] == self.project]

    def settings(self, **changes: Any) -> None:
        self.emulator.settings(**changes)

    async def foreign(self, filename: str, **details: Any) -> None:
        self.emulator.add_file(filename, project=self.project, **details)


async def create(
    bench: Bench,
    content: bytes = b"hello",
    *,
    name: str = "a.txt",
    purpose: str = "user_data",
    expires_seconds: int | None = None,
) -> RemoteFile:
    upload = Upload(name, len(content), purpose, expires_seconds)
    return await bench.remote.create(upload, io.BytesIO(content))


async def listing(remote: OpenAIRemote) -> list[RemoteFile]:
    files: list[RemoteFile] = []
    after: str | None = None
    while True:
        page = await remote.page(after)
        files += page.files
        if page.after is None:
            return files
        after = page.after


def every_call(remote: OpenAIRemote) -> list[Callable[[], Any]]:
    upload = Upload("a.txt", 5, "user_data", None)
    return [
        lambda: remote.create(upload, io.BytesIO(b"hello")),
        remote.hello,
        lambda: remote.page(None),
        lambda: remote.get("file-x"),
        lambda: remote.delete("file-x"),
    ]
