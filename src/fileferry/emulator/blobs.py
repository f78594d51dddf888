"""The bytes of a file on the disk: one file, or a directory of pieces, where it came in parts.

Parts are not copied into one another: that would cost as much disk again, and for eight gigabytes most of the time
of `complete`. What blocks here is for a thread; none of it touches a table.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

__all__ = ["bind", "digests", "pieces_of", "remove"]

_READ_BYTES = 1024 * 1024


class _Hash(Protocol):
    def update(self, data: memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


def pieces_of(blob: Path) -> list[Path]:
    """Return the files that hold the bytes of a blob, in their order."""
    return sorted(blob.iterdir()) if blob.is_dir() else [blob]


def bind(parts: Sequence[Path], target: Path) -> None:
    """Make a blob of parts, in this order, each of which may be wanted again.

    Raises:
        FileNotFoundError: a part is gone.
    """
    target.mkdir(mode=0o700)
    try:
        for number, part in enumerate(parts):
            os.link(part, target / f"{number:06}")
    except BaseException:  # an interrupt, too, must leave no half of a blob
        remove(target)
        raise


def remove(blob: Path) -> None:
    """Remove a blob; one that is not there is removed already."""
    if blob.is_dir():
        shutil.rmtree(blob)
    else:
        blob.unlink(missing_ok=True)


def digests(parts: Sequence[Path]) -> tuple[str, str]:
    """Return the SHA-256 and the MD5 of parts one after another, in hex.

    Raises:
        FileNotFoundError: a part is gone.
    """
    # Side by side: each takes its own time, and neither holds the interpreter.
    with ThreadPoolExecutor(1) as beside:
        md5 = beside.submit(_digest, parts, hashlib.md5(usedforsecurity=False))
        sha256 = _digest(parts, hashlib.sha256())
        return sha256, md5.result()


def _digest(parts: Sequence[Path], taken: _Hash) -> str:
    view = memoryview(bytearray(_READ_BYTES))
    for part in parts:
        with part.open("rb", buffering=0) as file:
            while count := file.readinto(view):
                taken.update(view[:count])
    return taken.hexdigest()
