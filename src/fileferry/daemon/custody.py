"""Whose index is it? A copy on another machine, or one restored from a backup, would delete what another uses.

The index notes the machine that it is on, and the inodes of its directory and of its file. A directory that is moved
keeps them; one that was copied, cloned or restored does not, and then nothing is sent or deleted until somebody says
that it was meant. Device numbers are not compared: they change when a machine starts. A copy that was written over the
index keeps the inode; so a mark beside it says how many changes it had logged, and one that has fewer is an older one.

Sources: machine-id(5), which asks for the id to be hashed with a name of one's own before it is kept anywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from contextlib import closing
from typing import TYPE_CHECKING

from fileferry.daemon import backups
from fileferry.errors import ConfigError, FerryError, Held
from fileferry.index import folders, trust
from fileferry.index.connection import open_reader
from fileferry.index.identity import FILE_NAME
from fileferry.index.mark import MARK_NAME, marked
from fileferry.local.watch_coverage import REMOTE_TYPES, file_system_type

if TYPE_CHECKING:
    import sqlite3

MACHINE_KEY = "machine"
STATE_INODE_KEY = "state_inode"
_MACHINE_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/sys/class/dmi/id/product_uuid")
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs", "fuse.bindfs"})


def machine() -> str | None:
    """Return a digest that names this machine, stable over reboots; None where nothing does, as in many containers."""
    for path in _MACHINE_FILES:
        with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
            text = file.read(64).strip().lower()
            if re.fullmatch(r"[0-9a-f-]{32,36}", text):
                return hashlib.blake2b(
                    text.encode(), digest_size=16, person=b"fileferry index"
                ).hexdigest()
    return None


def place(state_directory: str) -> str:
    """Return what tells a directory and the index in it from their copies."""
    directory = os.stat(state_directory)
    file = os.stat(os.path.join(state_directory, FILE_NAME))
    return f"{directory.st_ino}:{file.st_ino}"


def verify(db: sqlite3.Connection, state_directory: str) -> None:
    """Check that this index is where it was, on the machine where it was; pin both at the first time.

    Raises:
        Held: it was moved, cloned or restored; nothing may be sent or deleted until `accept index`.
    """
    asked = question(db, state_directory)
    if asked is not None:
        raise Held(
            asked,
            hint="`fileferry accept index` if it was meant, and no other fileferry uses the original any more",
        )
    pin(db, state_directory)


def question(db: sqlite3.Connection, state_directory: str) -> str | None:
    """Return what is odd about where the index is, or None."""
    pinned_machine, here = folders.meta(db, MACHINE_KEY), machine()
    if pinned_machine is not None and here is not None and pinned_machine != here:
        return f"the index in `{state_directory}` was made on another machine"
    pinned_place = folders.meta(db, STATE_INODE_KEY)
    if pinned_place is not None and pinned_place != place(state_directory):
        return f"the index in `{state_directory}` was copied or restored: it is not the file that it was"
    if backups.changes(db) < marked(state_directory):
        return f"the index in `{state_directory}` was restored from a copy: it is older than it was"
    return None


def accept(db: sqlite3.Connection) -> list[str]:
    """Let the index be where it is now; return what was accepted, nothing when nothing asks."""
    directory = os.path.dirname(str(db.execute("PRAGMA database_list").fetchone()[2]))
    if question(db, directory) is None:
        return []
    accepted = [key for key in (MACHINE_KEY, STATE_INODE_KEY) if folders.meta(db, key) is not None]
    pin(db, directory)
    trust.distrust(db)
    return accepted


def pin(db: sqlite3.Connection, state_directory: str) -> None:
    """Note where the index is, where that differs from what is noted."""
    for key, value in ((MACHINE_KEY, machine()), (STATE_INODE_KEY, place(state_directory))):
        if value is not None and folders.meta(db, key) != value:
            folders.set_meta(db, key, value)
    if backups.changes(db) < marked(state_directory):
        _write_mark(state_directory, backups.changes(db))


def mark(state_directory: str) -> None:
    """Note beside the index how far it has come. Blocks.

    What is noted was committed before, so that the index is never behind it. The note itself may be lost: then an
    older copy is found out by the next audit, and not before.

    Raises:
        OSError: it cannot be written.
        sqlite3.Error: the index cannot be read.
    """
    with closing(open_reader(os.path.join(state_directory, FILE_NAME))) as db:
        changes = backups.changes(db)
    if changes > marked(state_directory):
        _write_mark(state_directory, changes)


def unmark(state_directory: str) -> None:
    """Forget how far the index had come: another takes its place."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(state_directory, MARK_NAME))


def _write_mark(state_directory: str, changes: int) -> None:
    """Write the note, as private as the index, whatever the umask of whoever writes it."""
    path = os.path.join(state_directory, MARK_NAME)
    status = os.stat(os.path.join(state_directory, FILE_NAME))
    fresh = path + "-new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"{changes}\n")
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, -1, status.st_gid)
        os.fchmod(descriptor, status.st_mode & 0o777)
    os.replace(fresh, path)


def unpin(db: sqlite3.Connection) -> None:
    """Forget where the index was: it is pinned to where it is found next."""
    for key in (MACHINE_KEY, STATE_INODE_KEY):
        folders.set_meta(db, key, None)


def refuse_unwritable(state_directory: str) -> None:
    """Check that this user may change the index; SQLite would call it read-only, and not say why.

    Raises:
        FerryError: the directory, or the index in it, cannot be written by this user.
    """
    if os.statvfs(state_directory).f_flag & os.ST_RDONLY:
        return  # nobody may write there: SQLite says so
    index = os.path.join(state_directory, FILE_NAME)
    for path, needed in ((state_directory, os.W_OK | os.X_OK), (index, os.R_OK | os.W_OK)):
        if os.path.exists(path) and not os.access(path, needed):
            raise FerryError(
                f"`{path}` is not writable for user `{_user()}`",
                hint=f"`chmod u+rwX {path}` if it is this user's; else run as its owner, who alone changes the index",
            )


def _user() -> str:
    import pwd

    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def refuse_network(state_directory: str) -> None:
    """Check that SQLite can work there: its locks and shared memory need a file system of this machine.

    Raises:
        ConfigError: it is a network file system.
    """
    kind = file_system_type(os.fsencode(state_directory))
    if kind is None or kind in _LOCAL_FUSE:
        return
    if kind in REMOTE_TYPES or kind.startswith("fuse."):
        raise ConfigError(
            f"state directory `{state_directory}` is on a network file system (`{kind}`), which would damage an index",
            hint="set [state] directory to a local disk; folders that are mirrored may be on a network",
        )
