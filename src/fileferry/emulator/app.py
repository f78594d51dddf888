"""Puts the emulator together: one Starlette application, every API a list of routes."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import files, switchboard, uploads
from .errors import ApiError, unknown_url, wrong_method
from .gate import Gate
from .state import Emulator, Options

__all__ = ["EmulatorApp", "create_app"]


class EmulatorApp(Starlette):
    """The emulator as an ASGI application; `app.state.emulator` is its state."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(
            routes=[*files.routes, *uploads.routes, *switchboard.routes],
            exception_handlers={ApiError: _refuse, HTTPException: _refuse_route},
            lifespan=_lifespan,
        )
        # The API knows no trailing slashes, and a redirect would make clients send twice.
        self.router.redirect_slashes = False
        self.state.emulator = emulator
        # Outside of Starlette's own middleware, which answers 500 where a drop must be silent.
        self._gate = Gate(super().__call__, emulator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection of the server."""
        await self._gate(scope, receive, send)


def create_app(
    *,
    data: Path | None = None,
    requests_per_minute: int | None = None,
    latency_ms: float = 0.0,
    bandwidth: float | None = None,
    clock: Callable[[], float] | None = None,
    inline_io: bool = False,
    seed: int | None = None,
    max_file_bytes: int = 512 * 1024 * 1024,
) -> EmulatorApp:
    """Return a new emulator; the arguments are explained at `Options`.

    `clock` returns wall seconds; with it, durations are measured by it too. Whoever runs the
    application without a lifespan calls `app.state.emulator.close()` at the end.
    """
    options = Options(
        data=data,
        requests_per_minute=requests_per_minute,
        latency_ms=latency_ms,
        bandwidth=bandwidth,
        inline_io=inline_io,
        seed=seed,
        max_file_bytes=max_file_bytes,
    )
    return EmulatorApp(Emulator(options, clock))


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.emulator.close()


async def _refuse(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return Response(error.body(), error.status, dict(error.headers), "application/json")


async def _refuse_route(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    path = request.url.path
    refusal = wrong_method if error.status_code == 405 else unknown_url
    return await _refuse(request, refusal(request.method, path))
