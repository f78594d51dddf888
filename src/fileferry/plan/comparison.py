"""What `check` says of one path, or of one remote file: rclone's symbols, with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from fileferry.model import EntryState

if TYPE_CHECKING:
    from fileferry.model import RemoteFile, Stamp


class Symbol(StrEnum):
    """How two sides compare."""

    SAME = "="
    DISK_ONLY = "+"  # on disk, and not (yet) uploaded
    INDEX_ONLY = "-"  # in the index, and gone from disk
    DIFFERS = "*"
    ERROR = "!"  # cannot be read, is rejected, or its remote file is lost
    UNKNOWN = "?"  # cannot be looked at, or not proven


@dataclass(frozen=True, slots=True)
class Verdict:
    """A symbol and why.

    Args:
        symbol: how it compares.
        detail: why it is not the same; "" where it is.
        silent: the bytes differ though the stamp agrees: no survey will ever notice by itself.
    """

    symbol: Symbol
    detail: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A path as the index has it.

    Args:
        stamp: what it was like when it was read.
        state: as `files.state`.
        file_id: what answers for it and has not expired, or None.
        digest: of the version that it holds, or None.
        size: of that version, or None.
        error: why something could not be done, or None.
        absent: missed a moment ago, and not let go yet.
    """

    stamp: Stamp
    state: EntryState
    file_id: str | None
    digest: str | None
    size: int | None
    error: str | None
    absent: bool


_SAME = Verdict(Symbol.SAME)
GONE = Verdict(Symbol.INDEX_ONLY, "gone from disk")
NEW = Verdict(Symbol.DISK_ONLY, "not in the index")


def by_stamp(known: Known, stamp: Stamp) -> Verdict:
    """Compare a file that is there with the index, without reading it."""
    agrees = stamp == known.stamp and not known.absent
    match known.state:
        case EntryState.KEPT:
            return Verdict(Symbol.SAME, "kept as it is")
        case EntryState.IGNORED:
            return Verdict(Symbol.DISK_ONLY, "not ignored any more, and not taken up again yet")
        case EntryState.UNKNOWN:
            return Verdict(Symbol.UNKNOWN, known.error or "could not be read when it was looked at")
        case EntryState.REJECTED if agrees:
            return Verdict(Symbol.ERROR, f"rejected: {known.error}")
        case EntryState.ERROR if agrees:
            return Verdict(Symbol.ERROR, known.error or "could not be uploaded")
        case EntryState.PENDING:
            return Verdict(Symbol.DISK_ONLY, "not uploaded yet")
        case EntryState.STALE:
            return Verdict(Symbol.DIFFERS, "its id holds an older version")
        case EntryState.SYNCED if agrees:
            return _SAME if known.file_id is not None else _lost(known)
    return Verdict(Symbol.DIFFERS, "changed since it was read")


def is_worth_reading(known: Known) -> bool:
    """Say whether the bytes of a path can be compared with something."""
    return known.digest is not None and known.state not in {EntryState.KEPT, EntryState.IGNORED}


def by_bytes(known: Known, stamp: Stamp, digest: str) -> Verdict:
    """Compare a file that was read whole with the index."""
    if digest == known.digest and stamp.size == known.size:
        return _SAME if known.file_id is not None else _lost(known)
    verdict = by_stamp(known, stamp)
    if verdict.symbol is Symbol.SAME:
        return Verdict(Symbol.DIFFERS, "its bytes differ though its stamp agrees", silent=True)
    return verdict


def of_remote(recorded: RemoteFile, listed: RemoteFile, *, is_proven: bool) -> Verdict:
    """Compare a live remote file with what the index recorded of it."""
    parts = [
        f"{name} is {there!r}, recorded {here!r}"
        for name, here, there in (
            ("name", recorded.name, listed.name),
            ("size", recorded.size, listed.size),
            ("purpose", recorded.purpose, listed.purpose),
            ("expires_at", recorded.expires_at, listed.expires_at),
        )
        if here != there and not (name == "size" and there is None)
    ]
    if parts:
        return Verdict(Symbol.DIFFERS, "; ".join(parts))
    if not is_proven:
        return Verdict(Symbol.UNKNOWN, "matched by its name and size, not proven to be ours")
    return _SAME


def _lost(known: Known) -> Verdict:
    return Verdict(Symbol.ERROR, known.error or "its remote file is lost or has expired")
