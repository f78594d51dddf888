"""Takes a body of unknown length and keeps it: a small one in memory, a large one on the disk.

Memory is bounded by one chunk of `FLUSH_BYTES`. Zeros become holes, so that a sparse file of
eight gigabytes can be tried on a small disk. Writing and hashing large chunks happens in a
thread, so that other requests are not held up; with `inline` it happens here, for simulations that
must be deterministic.
"""

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from . import blobs
from .errors import too_large

__all__ = ["SMALL_BYTES", "Spool", "Spooled"]

SMALL_BYTES = 256 * 1024
"""Up to this many bytes a body stays in memory: one write is cheaper than a thread."""

FLUSH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spooled:
    """A whole body: in `content` or in the blob `path`, never both."""

    size: int
    sha256: str
    content: bytes | None
    path: Path | None

    def discard(self) -> None:
        """Remove the body from the disk; nobody wants it."""
        if self.path is not None:
            blobs.remove(self.path)


class Spool:
    """A body on its way in.

    Args:
        path: Where the body goes if it grows large; nothing is created before.
        limit: The most bytes it may have; above it, `write` raises the 413.
        inline: Do the disk work here instead of in a thread.
        hashed: Take the SHA-256; without it that of a whole body is that of nothing.
    """

    def __init__(self, path: Path, *, limit: int, inline: bool, hashed: bool = True) -> None:
        self._path = path
        self._limit = limit
        self._inline = inline
        self._hashed = hashed
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._fd: int | None = None
        self._sha256 = hashlib.sha256()
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Take more bytes; wait for the disk when enough have gathered."""
        self.size += len(data)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes >= FLUSH_BYTES:
            await self._flush()

    async def finish(self) -> Spooled:
        """Return the whole body; after this the caller owns the file, if there is one."""
        if self._fd is None and self.size <= SMALL_BYTES:
            content = b"".join(self._pending)
            if self._hashed:
                self._sha256.update(content)
            return Spooled(self.size, self._sha256.hexdigest(), content, None)
        await self._flush()
        if self._fd is not None:
            os.ftruncate(self._fd, self.size)  # it may end in a hole
        self._close()
        return Spooled(self.size, self._sha256.hexdigest(), None, self._path)

    def discard(self) -> None:
        """Forget the body and what it left on the disk."""
        if self._fd is not None:
            self._close()
            self._path.unlink(missing_ok=True)
        self._pending.clear()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def _flush(self) -> None:
        chunks, self._pending, self._pending_bytes = self._pending, [], 0
        if self._fd is None:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        if self._inline:
            self._store(self._fd, chunks)
            return
        # Shielded: a thread cannot be stopped, and its descriptor must not be closed under it.
        job = asyncio.get_running_loop().run_in_executor(None, self._store, self._fd, chunks)
        try:
            await asyncio.shield(job)
        except asyncio.CancelledError:
            await job
            raise

    def _store(self, fd: int, chunks: list[bytes]) -> None:
        data = b"".join(chunks)
        if self._hashed:
            self._sha256.update(data)
        if not data.strip(b"\0"):
            os.lseek(fd, len(data), os.SEEK_CUR)
            return
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
