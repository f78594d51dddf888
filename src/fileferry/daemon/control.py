"""The control socket: HTTP on a unix socket in the state directory, for the owner alone.

Commands that change the index while a daemon runs come in here, so that there is one writer; `wait` and `sync` too,
because only the running engine knows what it has seen.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from fileferry.daemon.commands import COMMANDS
from fileferry.daemon.outcome import outcome_of
from fileferry.errors import FerryError
from fileferry.index import wants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from fileferry.clock import Clock
    from fileferry.daemon.barrier import Barrier
    from fileferry.daemon.engine import Engine
    from fileferry.index.writer import Writer

SOCKET_NAME = "control.sock"
STEP_SECONDS = 0.05
_SCANNED_AGAIN = frozenset({"accept", "retry", "approve", "repair"})


class Control:
    """Answers on the control socket.

    Args:
        engine, writer, barrier, clock: what it speaks for.
        status: returns what `GET /v1/status` says.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        writer: Writer,
        barrier: Barrier,
        clock: Clock,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._barrier = barrier
        self._clock = clock
        self._status = status
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    def app(self) -> Starlette:
        """Return the application."""
        return Starlette(
            routes=[
                Route("/v1/status", self.status, methods=["GET"]),
                Route("/v1/sync", self.sync, methods=["POST"]),
                Route("/v1/wait", self.wait, methods=["POST"]),
                Route("/v1/pause", self.pause, methods=["POST"]),
                Route("/v1/resume", self.resume, methods=["POST"]),
                Route("/v1/commands/{name}", self.command, methods=["POST"]),
            ],
            exception_handlers={FerryError: _refuse},
        )

    async def start(self, state_directory: str) -> None:
        """Listen in a state directory; its lock is held, so a socket that is there is a dead one's."""
        listener = listen(state_directory)
        config = uvicorn.Config(
            self.app(),
            ws="none",
            lifespan="off",
            loop="asyncio",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _QuietServer(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started and not self._task.done():
            await self._clock.sleep(STEP_SECONDS)

    async def stop(self, state_directory: str) -> None:
        """Stop listening."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(state_directory, SOCKET_NAME))

    async def status(self, _request: Request) -> JSONResponse:
        """Say how the daemon is doing."""
        return JSONResponse(self._status())

    async def sync(self, request: Request) -> JSONResponse:
        """Scan everything, do what can be done now, and say what it came to."""
        body = await request.json()
        before = (
            self._engine.progress.sent_files,
            self._engine.progress.sent_bytes,
            self._engine.progress.deleted,
        )
        now = self._clock.wall()
        await self._writer.run(lambda db: wants.hurry(db, now=now))
        self._engine.liaison.retry()
        rounds = 2 if body.get("now") else 1
        self._engine.switches.delete_now = bool(body.get("now"))
        try:
            for _ in range(rounds):
                lookout = self._engine.lookout
                tickets = lookout.mark_all()
                while not all(
                    lookout.covered(ticket) or ticket.folder_id in lookout.hanging
                    for ticket in tickets
                ):
                    await self._clock.sleep(STEP_SECONDS)
                while not await self._engine.settled():
                    await self._clock.sleep(STEP_SECONDS)
        finally:
            self._engine.switches.delete_now = False
        now = self._clock.wall()
        outcome = await self._writer.run(
            lambda db: outcome_of(db, self._engine, now=now, before=before)
        )
        return JSONResponse(asdict(outcome))

    async def wait(self, request: Request) -> JSONResponse:
        """Return when paths have arrived."""
        body = await request.json()
        places = [
            (int(folder_id), base64.b64decode(path)) for folder_id, path in body.get("places", [])
        ] or [(folder_id, b"") for folder_id in self._engine.mirrors]
        arrival = await self._barrier.wait(
            [place for place in places if place[0] in self._engine.mirrors],
            timeout_seconds=body.get("timeout"),
        )
        return JSONResponse(asdict(arrival))

    async def pause(self, request: Request) -> JSONResponse:
        """Stop sending and deleting, for a while or until told otherwise."""
        seconds = (await request.json()).get("seconds")
        now = self._clock.wall()
        self._engine.switches.paused_until = float("inf") if seconds is None else now + seconds
        self._engine.wake()
        return JSONResponse(self._status())

    async def resume(self, _request: Request) -> JSONResponse:
        """Go on."""
        self._engine.switches.paused_until = None
        self._engine.liaison.retry()
        self._engine.wake()
        return JSONResponse(self._status())

    async def command(self, request: Request) -> JSONResponse:
        """Change the index on request, as the same command would without a daemon."""
        name = request.path_params["name"]
        command = COMMANDS.get(name)
        if command is None:
            raise FerryError(
                f"the daemon knows no command `{name}`", hint="restart it: it is older"
            )
        arguments = await request.json()
        if name == "accept" and not arguments.get("account"):
            arguments["account"] = self._engine.liaison.account
        now = self._clock.wall()
        result = await self._writer.run(lambda db: command(db, arguments, now))
        if name == "retry":
            self._engine.liaison.end_rest()
        if name in _SCANNED_AGAIN:
            self._engine.liaison.retry()
            self._engine.lookout.mark_all()
        self._engine.wake()
        return JSONResponse(result)


def listen(state_directory: str) -> socket.socket:
    """Bind the control socket, for the owner alone; paths longer than a socket address may have work too."""
    directory = os.open(state_directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET_NAME, dir_fd=directory)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
        finally:
            os.umask(before)
        listener.listen(64)
    finally:
        os.close(directory)
    return listener


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FerryError)
    return JSONResponse(
        {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}, status_code=409
    )


class _QuietServer(uvicorn.Server):
    """A server whose signals are the daemon's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
