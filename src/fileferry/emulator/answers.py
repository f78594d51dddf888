"""Answers that Starlette has no cheap form for: the bytes of a stored file."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import blobs

__all__ = ["BlobResponse"]

_CHUNK_BYTES = 256 * 1024


class BlobResponse(Response):
    """A stored file, read in chunks; larger ones in a thread."""

    media_type = "application/octet-stream"

    def __init__(self, path: Path, size: int, *, inline: bool) -> None:
        self._path = path
        self._size = size
        self._inline = inline or size <= _CHUNK_BYTES
        super().__init__(headers={"content-length": str(size)})

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the file; a delete meanwhile cuts it short only where it came in parts."""
        async with aclosing(self._chunks()) as chunks:
            chunk = await anext(chunks, b"")  # what cannot be opened is no answer begun
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            left = self._size
            while True:
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
                if left <= 0:
                    return
                chunk = await anext(chunks, b"")
                if not chunk:
                    raise EOFError(f"`{self._path}` is shorter than {self._size} bytes")

    async def _chunks(self) -> AsyncGenerator[bytes]:
        for piece in blobs.pieces_of(self._path):
            with piece.open("rb", buffering=0) as file:
                while chunk := (
                    file.read(_CHUNK_BYTES)
                    if self._inline
                    else await asyncio.to_thread(file.read, _CHUNK_BYTES)
                ):
                    yield chunk
