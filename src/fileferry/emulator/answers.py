"""Answers that Starlette has no cheap form for: the bytes of a stored file."""

import asyncio
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

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
        """Send the file; a delete meanwhile does not cut it short."""
        with self._path.open("rb", buffering=0) as blob:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            left = self._size
            while left > 0:
                if self._inline:
                    chunk = blob.read(_CHUNK_BYTES)
                else:
                    chunk = await asyncio.to_thread(blob.read, _CHUNK_BYTES)
                if not chunk:
                    raise EOFError(f"`{self._path}` is shorter than {self._size} bytes")
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
