"""A large file in slices: each is read on its own, straight from the one descriptor, and hashed while it is sent.

Parts are sent side by side, but the digest and the MD5 of the whole have to be taken in order. So one reader goes
through the file beside them, and takes the digest of each part too: a part that was sent must have the same.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import xxhash

from fileferry.errors import SourceChanged
from fileferry.local.reader import hasher

if TYPE_CHECKING:
    from fileferry.local.reader import Source

PIECE_BYTES = 256 * 1024


class Slice:
    """A part of a source as a body: read from its start, hashed on the way; it may be read again from there."""

    def __init__(self, source: Source, offset: int, size: int) -> None:
        self._source = source
        self._offset = offset
        self._size = size
        self._position = 0
        self._hashed = 0
        self._hasher = xxhash.xxh3_128()

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, b"" at the end.

        Raises:
            SourceChanged: the file became shorter.
            SourceUnreadable: the disk refused.
        """
        left = self._size - self._position
        size = left if size < 0 else min(size, left)
        if size == 0:
            return b""
        piece = self._source.read_at(self._offset + self._position, size)
        fresh = self._hashed - self._position
        if 0 <= fresh < len(piece):
            self._hasher.update(piece[fresh:])
            self._hashed += len(piece) - fresh
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; what was hashed once is not hashed again."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def digest(self) -> str:
        """Return the digest of the part, once every byte was read.

        Raises:
            SourceChanged: it was not read to its end.
        """
        if self._hashed != self._size:
            raise SourceChanged("a part was not read to its end")
        return self._hasher.hexdigest()


class Survey:
    """The digest and the MD5 of a whole source, taken part by part, in order."""

    def __init__(self, source: Source, algorithm: str) -> None:
        self._source = source
        self._algorithm = algorithm
        self._digest = hasher(algorithm)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._position = 0

    def take(self, size: int) -> str:
        """Read the next part and return its digest. Blocks.

        Raises:
            SourceChanged: the file became shorter.
            SourceUnreadable: the disk refused.
        """
        part = xxhash.xxh3_128()
        end = self._position + size
        while self._position < end:
            piece = self._source.read_at(self._position, min(PIECE_BYTES, end - self._position))
            part.update(piece)
            self._digest.update(piece)
            self._md5.update(piece)
            self._position += len(piece)
        return part.hexdigest()

    def finish(self) -> tuple[str, str]:
        """Return the digest, with the name of its algorithm, and the MD5 in hex.

        Raises:
            SourceChanged: not all was read, or the file moved meanwhile.
        """
        if self._position != self._source.stamp.size or not self._source.still():
            raise SourceChanged("the file changed while it was sent")
        return f"{self._algorithm}:{self._digest.hexdigest()}", self._md5.hexdigest()
