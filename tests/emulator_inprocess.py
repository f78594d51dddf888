"""The emulator in the test's own process: no sockets, no threads, a clock of the test's."""

import httpx2

from fileferry.emulator import ConnectionDroppedError, EmulatorApp

__all__ = ["EmulatorTransport", "http_client"]


class EmulatorTransport(httpx2.ASGITransport):
    """Calls the emulator directly; a dropped connection is what a socket would make of it."""

    def __init__(self, app: EmulatorApp) -> None:
        super().__init__(app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        try:
            return await super().handle_async_request(request)
        except ConnectionDroppedError as drop:
            if drop.is_started:
                raise httpx2.RemoteProtocolError(
                    "peer closed connection without sending complete message body",
                    request=request,
                ) from drop
            raise httpx2.ReadError("connection reset by peer", request=request) from drop


def http_client(app: EmulatorApp) -> httpx2.AsyncClient:
    """Return a client for the SDK: `AsyncOpenAI(http_client=..., base_url="http://emulator/v1")`."""
    return httpx2.AsyncClient(transport=EmulatorTransport(app), base_url="http://emulator/v1")
