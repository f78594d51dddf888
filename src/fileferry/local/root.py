"""The identity of a mirrored root: is this still the directory whose files the index knows?

Evidence, in this order: inode and file-system id are the pinned ones (device too, where there is no id); or they
changed (a reboot, a tmpfs, NFS) but known files are there with their sizes and times. A root that lost every file
at once, or that has none of the known ones, proves nothing: the folder halts, and nothing is concluded about its files.
Nothing is ever written into the source, so there is no marker file.

Sources: statfs(2) on f_fsid; the public threads in which an unmounted or emptied root became a mass delete.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from fileferry.local.scanner import rules_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileferry.model import Stamp

SAMPLE = 32
ENOUGH = 0.5


class RootTrouble(StrEnum):
    """Why a root cannot be trusted now."""

    GONE = "gone"
    UNREADABLE = "unreadable"
    EMPTIED = "emptied"
    REPLACED = "replaced"
    HANGING = "hanging"


@dataclass(frozen=True, slots=True)
class Identity:
    """How a root is recognised."""

    inode: int
    device: int
    file_system: int
    empty: bool = field(
        default=False, compare=False
    )  # it was when it was pinned: somebody accepted that

    def to_json(self) -> str:
        """Return it as the index keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Identity:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look at the root said.

    Args:
        identity: of what is there now, or None when it cannot be said.
        trouble: why it cannot be trusted, or None.
        detail: the same in words, for a person.
        moved: the numbers changed, but the known files are there: pin it anew.
    """

    identity: Identity | None
    trouble: RootTrouble | None = None
    detail: str = ""
    moved: bool = False


def prove(
    root: bytes, pinned: Identity | None, known: Sequence[tuple[bytes, Stamp]], *, entries: int
) -> Proof:
    """Look at a root and say whether it is the pinned one.

    Args:
        root: its absolute path.
        pinned: what it was at first contact, or None before it.
        known: up to `SAMPLE` files that should be there.
        entries: how many files the index has in it.
    """
    shown = root.decode("utf-8", "backslashreplace")
    try:
        status = os.stat(root)
        if not stat.S_ISDIR(status.st_mode):
            return Proof(None, RootTrouble.REPLACED, f"`{shown}` is no directory")
        with os.scandir(root) as listing:
            empty = next(listing, None) is None
        rules_text(root, b"")  # without its rules nobody can say what of it may be sent
        identity = Identity(status.st_ino, status.st_dev, os.statvfs(root).f_fsid, empty)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return Proof(None, RootTrouble.GONE, f"`{shown}` is not there: {reason}")
        shown = os.fsencode(error.filename or root).decode("utf-8", "backslashreplace")
        return Proof(None, RootTrouble.UNREADABLE, f"`{shown}` cannot be read: {reason}")
    if pinned is None:
        return Proof(identity)
    if empty and not pinned.empty and entries > 1:
        return Proof(
            identity,
            RootTrouble.EMPTIED,
            f"`{shown}` is empty, and had {_counted(entries)}",
        )
    # Another disk may get the device number, and every ext4 root is inode 2: where the ids of the file systems differ,
    # the files have to speak. 0 is no id: FUSE and NFS have none.
    if pinned == identity or (
        pinned.inode == identity.inode and pinned.file_system == identity.file_system != 0
    ):
        return Proof(identity)
    if known and _recognised(root, known) < ENOUGH * len(known):
        return Proof(
            identity,
            RootTrouble.REPLACED,
            f"`{shown}` is another directory than before, without the files that the index knows",
        )
    return Proof(identity, moved=True)


def _recognised(root: bytes, known: Sequence[tuple[bytes, Stamp]]) -> int:
    count = 0
    for path, stamp in known[:SAMPLE]:
        try:
            status = os.lstat(root + b"/" + path)
        except OSError:
            continue  # not there, or not to be seen: no evidence either way
        if status.st_size == stamp.size and status.st_mtime_ns == stamp.mtime_ns:
            count += 1
    return count


def _counted(entries: int) -> str:
    return f"{entries} files" if entries < SAMPLE else f"{entries} files or more"
