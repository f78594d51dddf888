"""A transport that reads request bodies off the loop.

The SDK's multipart body reads its file in 64 KiB pieces where it stands, on the event loop. Bodies of some size are
therefore iterated in a worker, a megabyte at a time; small ones are in memory already and are sent in one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from fileferry.remote.bandwidth import Throttle

LARGE_BYTES = 256 * 1024
PIECE_BYTES = 1024 * 1024


class StreamingTransport(httpx2.AsyncBaseTransport):
    """Wraps a transport; `offload` runs a blocking function in a worker, `throttle` limits the bandwidth."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        offload: Callable[..., Awaitable[Any]],
        throttle: Throttle,
    ) -> None:
        self._inner = inner
        self._offload = offload
        self._throttle = throttle

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a request on."""
        length = int(request.headers.get("content-length", "0"))
        if isinstance(request.stream, httpx2.SyncByteStream):
            if length > LARGE_BYTES:
                request.stream = _Offloaded(request.stream, self._offload, self._throttle)
            elif length:
                # In memory already: one piece is one write, instead of one for each line of the form.
                request.stream = _Whole(b"".join(request.stream))
                await self._throttle.take(length)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


class _Whole(httpx2.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class _Offloaded(httpx2.AsyncByteStream):
    def __init__(
        self,
        stream: httpx2.SyncByteStream,
        offload: Callable[..., Awaitable[Any]],
        throttle: Throttle,
    ) -> None:
        self._stream = stream
        self._offload = offload
        self._throttle = throttle

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._stream)
        while piece := await self._offload(_gather, pieces):
            await self._throttle.take(len(piece))
            yield piece


def _gather(pieces: Iterator[bytes]) -> bytes:
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            break
    return b"".join(gathered)
