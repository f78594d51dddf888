"""A transport that reads request bodies off the loop.

The SDK's multipart body reads its file in 64 KiB pieces where it stands, on the event loop. Bodies of some size are
therefore iterated in a worker, a megabyte at a time; small ones are in memory already and pass as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

LARGE_BYTES = 256 * 1024
PIECE_BYTES = 1024 * 1024


class StreamingTransport(httpx2.AsyncBaseTransport):
    """Wraps a transport; `offload` runs a blocking function in a worker."""

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, offload: Callable[..., Awaitable[Any]]
    ) -> None:
        self._inner = inner
        self._offload = offload

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on."""
        length = int(request.headers.get("content-length", "0"))
        if length > LARGE_BYTES and isinstance(request.stream, httpx2.SyncByteStream):
            request.stream = _Offloaded(request.stream, self._offload)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


class _Offloaded(httpx2.AsyncByteStream):
    def __init__(
        self, stream: httpx2.SyncByteStream, offload: Callable[..., Awaitable[Any]]
    ) -> None:
        self._stream = stream
        self._offload = offload

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._stream)
        while piece := await self._offload(_gather, pieces):
            yield piece


def _gather(pieces: Iterator[bytes]) -> bytes:
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) >= PIECE_BYTES:
            break
    return bytes(gathered)
