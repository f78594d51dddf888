"""What inotify does not see: how many directories the kernel really watches, and file systems without events.

Sources: proc(5) on fdinfo, inotify(7) on network file systems; the public threads in which a watch limit or a
network mount was noticed only by missing changes.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

REMOTE_TYPES = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "fuse",
        "lustre",
        "gfs2",
        "ocfs2",
        "virtiofs",
    }
)
LIMIT_PATH = "/proc/sys/fs/inotify/max_user_watches"


def kernel_watches() -> int:
    """Return how many inotify watches this process holds, by the kernel's own account."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}") != "anon_inode:inotify":
                continue
            with open(f"/proc/self/fdinfo/{name}", encoding="ascii") as file:
                count += sum(line.startswith("inotify wd:") for line in file)
        except OSError:
            continue  # closed while we looked
    return count


def count_directories(root: bytes) -> int:
    """Return how many directories a recursive watch of a root needs, itself included."""
    count = 0
    stack = [root]
    while stack:
        count += 1
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as listing:
            stack += [entry.path for entry in listing if entry.is_dir(follow_symlinks=False)]
    return count


def outermost(roots: Iterable[bytes]) -> list[bytes]:
    """Return the roots that lie in no other one, sorted: a recursive watch of those covers all."""
    found: list[bytes] = []
    for root in sorted(set(roots), key=_whole):
        if not found or not _whole(root).startswith(_whole(found[-1])):
            found.append(root)
    return found


def count_all(roots: Iterable[bytes]) -> int:
    """Return how many watches some roots need together: one for a directory, in however many of them it is."""
    return sum(map(count_directories, outermost(roots)))


def needed_besides(root: bytes, watched: Iterable[bytes]) -> int:
    """Return how many more watches a root needs where others are watched: the kernel has one for each directory."""
    watched = list(watched)
    if any(is_inside(root, other) for other in watched):
        return 0
    return count_directories(root) - count_all(one for one in watched if is_inside(one, root))


def are_nested(one: bytes, other: bytes) -> bool:
    """Say whether one of two roots lies in the other, or is it."""
    return is_inside(one, other) or is_inside(other, one)


def is_inside(path: bytes, root: bytes) -> bool:
    """Say whether a path is a root or below it."""
    return _whole(path).startswith(_whole(root))


def _whole(path: bytes) -> bytes:
    return path.rstrip(b"/") + b"/"


def sends_events(root: bytes) -> bool:
    """Say whether the file system of a root reports changes that other hosts make."""
    kind = file_system_type(root)
    return kind is None or not (kind in REMOTE_TYPES or kind.startswith("fuse."))


def file_system_type(root: bytes) -> str | None:
    """Return the type of the file system at a path, or None when the kernel does not say."""
    best: tuple[int, str] | None = None
    path = os.path.realpath(root)
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            before, _, after = line.partition(b" - ")
            fields = before.split(b" ")
            if len(fields) < 5 or not after:
                continue
            mount = fields[4].decode("unicode_escape").encode("latin-1")
            inside = path == mount or path.startswith(mount.rstrip(b"/") + b"/")
            if inside and (best is None or len(mount) >= best[0]):
                best = (len(mount), after.split(b" ")[0].decode("ascii", "replace"))
    return None if best is None else best[1]


def watch_limit() -> int | None:
    """Return how many watches a user may have, or None when the kernel does not say."""
    with contextlib.suppress(OSError, ValueError), open(LIMIT_PATH, encoding="ascii") as file:
        return int(file.read())
    return None
