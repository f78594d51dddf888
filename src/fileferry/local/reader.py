"""Bytes with proof: open without following links, fstat, read, hash, fstat again.

What was read counts only when both stamps are equal. Every component of the path is opened on its own with
O_NOFOLLOW, so that a link put in the way cannot lead out of the root; O_NONBLOCK keeps a FIFO from hanging us.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self

import xxhash

from fileferry.errors import SourceChanged, SourceGone, SourceUnreadable
from fileferry.local.scanner import inside
from fileferry.local.stamp import stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fileferry.model import Stamp

PIECE_BYTES = 1024 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class Hasher(Protocol):
    """What hashlib and xxhash have in common."""

    def update(self, data: bytes, /) -> object:
        """Take the next bytes."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far."""


def hasher(algorithm: str) -> Hasher:
    """Return a new hasher for `xxh3_128` or `sha256`."""
    if algorithm == "sha256":
        return hashlib.sha256()
    if algorithm == "xxh3_128":
        return xxhash.xxh3_128()
    raise ValueError(f"no such digest: `{algorithm}`")


class Source:
    """One open regular file, read from its start, hashed on the way. Close it, or use it in a `with`.

    It is a file object as far as an HTTP client needs one: `read`, `seek(0)`, `tell`. It never gives more bytes
    than it had when it was opened, so that a growing file cannot break a declared length.

    Attributes:
        stamp: what fstat said when it was opened.
    """

    def __init__(self, descriptor: int, stamp: Stamp, algorithm: str, shown: str) -> None:
        self._descriptor = descriptor
        self._algorithm = algorithm
        self._shown = shown
        self._hasher = hasher(algorithm)
        self._position = 0
        self._hashed = 0
        self.stamp = stamp

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, b"" at the end.

        Raises:
            SourceChanged: the file became shorter.
            SourceUnreadable: the disk refused.
        """
        left = self.stamp.size - self._position
        size = left if size < 0 else min(size, left)
        if size == 0:
            return b""
        piece = self.read_at(self._position, size)
        fresh = self._hashed - self._position
        if 0 <= fresh < len(piece):
            self._hasher.update(piece[fresh:])
            self._hashed += len(piece) - fresh
        self._position += len(piece)
        return piece

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes, at least one, from an offset; the position stays, and nothing is hashed.

        Raises:
            SourceChanged: the file became shorter.
            SourceUnreadable: the disk refused.
        """
        try:
            piece = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise _unreadable(error, self._shown) from error
        if not piece:
            raise SourceChanged(f"`{self._shown}` became shorter while it was read")
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; what was hashed once is not hashed again."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.stamp.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def still(self) -> bool:
        """Say whether fstat says now what it said at the opening."""
        return stamp_of(os.fstat(self._descriptor)) == self.stamp

    def digest(self) -> str:
        """Return the digest of the whole file, once every byte was read.

        Raises:
            SourceChanged: it was not read to its end, or it moved meanwhile.
        """
        digest = self.digest_read()
        if not self.still():
            raise SourceChanged(f"`{self._shown}` changed while it was read")
        return digest

    def digest_read(self) -> str:
        """Return the digest of the bytes that were read, once as many were as the file had, moved or not.

        Raises:
            SourceChanged: it was not read to its end.
        """
        if self._hashed != self.stamp.size:
            raise SourceChanged(f"`{self._shown}` was not read to its end")
        return f"{self._algorithm}:{self._hasher.hexdigest()}"


def open_source(root: bytes, path: bytes, *, algorithm: str, follow_inside: bool = False) -> Source:
    """Open a file below a root.

    Args:
        root: absolute path of the mirrored directory.
        path: relative to it.
        algorithm: of the digest, `xxh3_128` or `sha256`.
        follow_inside: follow links as long as they end inside the root.

    Raises:
        SourceGone: its nearest surviving ancestor was opened and does not have it, or has no regular file there.
        SourceUnreadable: it cannot be opened for another reason, so it may be there.
    """
    shown = _shown(root, path)
    if follow_inside:
        root, path = _resolved(root, path, shown)
    with _parent(root, path, shown) as (directory, name):
        descriptor = _open(name, _OPEN, directory, shown)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise SourceGone(f"`{shown}` is no regular file any more")
    return Source(descriptor, stamp_of(status), algorithm, shown)


def glance(root: bytes, path: bytes, *, follow_inside: bool = False) -> os.stat_result:
    """Return what stands at a path, a file or a directory, without opening it.

    Raises:
        SourceGone: proven not to be there, or neither a regular file nor a directory.
        SourceUnreadable: it cannot be looked at, so it may be there.
    """
    shown = _shown(root, path)
    if follow_inside:
        root, path = _resolved(root, path, shown)
    with _parent(root, path, shown) as (directory, name):
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            if error.errno in _GONE:
                raise SourceGone(f"`{shown}` is not there any more") from error
            raise _unreadable(error, shown) from error
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise SourceGone(f"`{shown}` is no regular file any more")
    return status


def digest(source: Source, watch: Callable[[bytes], object] | None = None) -> str:
    """Read a source to its end and return its digest; `watch` is shown every piece.

    Raises:
        SourceChanged: it moved meanwhile.
        SourceUnreadable: the disk refused.
    """
    while piece := source.read(PIECE_BYTES):
        if watch is not None:
            watch(piece)
    return source.digest()


@contextmanager
def _parent(root: bytes, path: bytes, shown: str) -> Iterator[tuple[int, bytes]]:
    """Open the directory of a path, each component on its own; give it with the last component."""
    try:
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        # The root is never taken for absent: that would make everything below it absent.
        raise _unreadable(error, shown) from error
    try:
        *parents, name = path.split(b"/")
        for parent in parents:
            below = _open(parent, _OPEN | os.O_DIRECTORY, directory, shown)
            os.close(directory)
            directory = below
        yield directory, name
    finally:
        os.close(directory)


def _resolved(root: bytes, path: bytes, shown: str) -> tuple[bytes, bytes]:
    target = inside(root, root + b"/" + path)
    if target is None:
        raise SourceGone(f"`{shown}` leads out of its folder")
    root = os.path.realpath(root)
    return root, target[len(root) + 1 :]


def _shown(root: bytes, path: bytes) -> str:
    return (root + b"/" + path).decode("utf-8", "backslashreplace")


def _open(name: bytes, flags: int, directory: int, shown: str) -> int:
    try:
        return os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno in _GONE:
            raise SourceGone(f"`{shown}` is not there any more") from error
        if error.errno == errno.ENXIO:  # a socket, or a FIFO's other end
            raise SourceGone(f"`{shown}` is no regular file any more") from error
        raise _unreadable(error, shown) from error


def _unreadable(error: OSError, shown: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"`{shown}` cannot be read: {(error.strerror or 'unknown error').lower()}",
        errno=error.errno or 0,
    )
