"""From `stat` to stamp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.model import Stamp

if TYPE_CHECKING:
    import os


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file; 64-bit numbers are folded to signed ones, as SQLite stores them."""
    return Stamp(
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        _signed(status.st_ino),
        _signed(status.st_dev),
    )


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
