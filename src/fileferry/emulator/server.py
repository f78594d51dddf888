"""Runs the emulator under uvicorn, on loopback, until a signal.

What uvicorn does not do by itself: close a connection without an answer, exit 0 on SIGTERM, and
tell its address once it listens.
"""

import asyncio
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import create_app
from .exchange import ConnectionDroppedError

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGI3Application,
        ASGIReceiveCallable,
        ASGISendCallable,
        Scope,
    )

__all__ = ["serve"]

# A client that was refused early may go on sending: it sees the answer only if it is read.
_MOST_DRAINED_BYTES = 1024 * 1024 * 1024
_KEEP_ALIVE_SECONDS = 75


def serve(
    host: str = "127.0.0.1",
    port: int = 8700,
    data: Path | None = None,
    requests_per_minute: int | None = None,
    latency_ms: float = 0.0,
    bandwidth: float | None = None,
    *,
    allow_remote: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; print `listening on http://HOST:PORT/v1` first.

    Args:
        host: A loopback address; another one only with `allow_remote`.
        port: 0 picks a free one.
        data: Where files are kept; None for a temporary place.
        requests_per_minute: The rate limit of every key; None or 0 for none.
        latency_ms: How long every answer is held back at least.
        bandwidth: Bytes per second that a request may send; None or 0 for any.
        allow_remote: Let other machines in; nothing here asks for a password.

    Raises:
        ValueError: The host is not a loopback address.
        OSError: The address is taken.
    """
    if not allow_remote and not _is_loopback(host):
        raise ValueError(
            f"`{host}` is not a loopback address: the emulator has no passwords, so it listens for"
            " other machines only when that is asked for"
        )
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    with _listen(host, port) as listener:
        app = create_app(
            data=data,
            requests_per_minute=requests_per_minute,
            latency_ms=latency_ms,
            bandwidth=bandwidth,
        )
        try:
            config = uvicorn.Config(
                app,
                http=DroppingProtocol,
                ws="none",
                loop="asyncio",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
            )
            _Server(config, _url(host, listener)).run(sockets=[listener])
        finally:
            app.state.emulator.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    # With its protocol named: asyncio disables Nagle's delay only on sockets that say TCP.
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _url(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}/v1"


class _Server(uvicorn.Server):
    """Says where it listens, and treats a signal as a wish, not as a death."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"listening on {self._url}", flush=True)  # noqa: T201 - the promised first line

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal again after an orderly stop, so the exit code would not be 0.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class DroppingProtocol(H11Protocol):
    """One connection, which the application can have closed without an answer."""

    _drained_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Bind the application to this connection."""
        super().connection_made(transport)
        self.app = _dropping(self.app, transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a request that was answered already only up to a bound."""
        if self.cycle is not None and self.cycle.response_complete:
            unread = self.conn.their_state is h11.SEND_BODY
            self._drained_bytes = self._drained_bytes + len(data) if unread else 0
            if self._drained_bytes > _MOST_DRAINED_BYTES:
                self.transport.abort()
                return
        super().data_received(data)


def _dropping(app: "ASGI3Application", transport: asyncio.Transport) -> "ASGI3Application":
    async def bound(
        scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable"
    ) -> None:
        try:
            await app(scope, receive, send)
        except ConnectionDroppedError as drop:
            # An answer that began must reach the client as far as it goes; else nothing may.
            if drop.is_started:
                transport.close()
            else:
                transport.abort()
            # uvicorn answers 500 for an application that returns while the connection lives.
            while (await receive())["type"] != "http.disconnect":
                pass

    return bound
