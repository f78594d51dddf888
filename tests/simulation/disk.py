"""The disk of a simulation: real files in a temporary directory, seen through a seam that tells virtual time.

Two things of a real file system cannot be had in a simulation: change times that follow virtual time, and
permissions that bind root. So the modules of `fileferry.local` are given a stand-in for `os` that passes every call
on and alters two answers: `st_ctime_ns` is the virtual moment at which this disk changed the inode (in ticks of the
kernel, so that two changes within one tick look alike), and below a place that was made unreadable calls fail with an
errno. The settling and the racy rule therefore work as they do on a real disk.

Beside the real files there is the truth: what stands at each path, also while a root is away or cannot be read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from fileferry.local import reader, root, scanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TICK_NS = 4_000_000


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a place is unreadable.

    Args:
        number: the errno.
        hides: the place itself cannot be looked at either, as on a broken disk; else it is as after `chmod 000`.
    """

    number: int
    hides: bool


class Disk:
    """Some roots and all that is done to them.

    Args:
        home: an empty directory of its own.
        wall: the host's wall seconds.
        now: virtual seconds.

    Attributes:
        files: what is at each path, in truth: also while a root is away or cannot be read.
        versions: what ever stood at a path, as sha256.
        contents: all that ever was.
        away: roots that are not where they belong, and how.
        changed_at: when a path last changed, wall seconds.
        stands_since: since when there is a file at a path without a gap, virtual seconds.
        troubles: places that are unreadable.
        on_read: what happens when a file has been read from so many times: a number that counts down, and a call.
    """

    def __init__(self, home: str, wall: Callable[[], float], now: Callable[[], float]) -> None:
        self.home = os.fsencode(home)
        self._wall = wall
        self._now = now
        self.troubles: dict[bytes, Trouble] = {}
        self.files: dict[bytes, bytes] = {}
        self.versions: dict[bytes, set[str]] = {}
        self.contents: list[bytes] = []
        self.away: dict[bytes, str] = {}
        self.changed_at: dict[bytes, float] = {}
        self.stands_since: dict[bytes, float] = {}
        self.on_read: dict[bytes, list[Any]] = {}
        self._ctimes: dict[tuple[int, int], int] = {}
        self._open: dict[int, bytes] = {}

    # What is done to it

    def make_root(self, name: bytes) -> bytes:
        """Make an empty root and return its path."""
        path = self.home + b"/" + name
        os.mkdir(path)
        return path

    def write(self, path: bytes, content: bytes, *, mtime_ns: int | None = None) -> None:
        """Put these bytes at a path, in place if a file stands there."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        self._stamp(path, mtime_ns)
        self._now_holds(path, content)

    def replace(self, path: bytes, content: bytes) -> None:
        """Put these bytes at a path the careful way: a new file, renamed over the old one."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fresh = self.home + b"/fresh"
        with open(fresh, "wb") as file:
            file.write(content)
        os.rename(fresh, path)
        self._stamp(path, None)
        self._now_holds(path, content)

    def touch(self, path: bytes) -> None:
        """Change times only."""
        self._stamp(path, None)

    def remove(self, path: bytes) -> None:
        """Remove a file."""
        os.unlink(path)
        self._lacks(path)

    def rename(self, source: bytes, target: bytes) -> None:
        """Rename a file or a directory; what is at the target is replaced, if it is a file."""
        os.makedirs(os.path.dirname(target), exist_ok=True)
        status = os.lstat(source)
        os.rename(source, target)
        self._ctimes[(status.st_dev, status.st_ino)] = self._tick()
        if source in self.files:
            content = self.files[source]
            self._lacks(source)
            self._now_holds(target, content)
            return
        for path in self.below(source):
            content = self.files[path]
            self._lacks(path)
            self._now_holds(target + path[len(source) :], content)

    def below(self, directory: bytes) -> list[bytes]:
        """Return the files below a directory."""
        return sorted(path for path in self.files if path.startswith(directory + b"/"))

    def directories(self, place: bytes) -> list[bytes]:
        """Return the directories below a root that have files."""
        found: set[bytes] = set()
        for path in self.below(place):
            parent = os.path.dirname(path)
            while parent != place:
                found.add(parent)
                parent = os.path.dirname(parent)
        return sorted(found)

    def take_away(self, place: bytes, how: str) -> None:
        """Take a root away: `gone`, `emptied`, or `replaced` by another directory. The truth stays what it is."""
        store = place + b".away"
        if how == "emptied":
            os.mkdir(store)
            for name in sorted(os.listdir(place)):
                os.rename(place + b"/" + name, store + b"/" + name)
        else:
            os.rename(place, store)
            if how == "replaced":
                os.mkdir(place)
                with open(place + b"/lost+found.txt", "wb") as file:
                    file.write(b"another disk\n")
        self.away[place] = how

    def bring_back(self, place: bytes) -> None:
        """Undo `take_away`."""
        store = place + b".away"
        how = self.away.pop(place)
        if how == "emptied":
            for name in sorted(os.listdir(store)):
                os.rename(store + b"/" + name, place + b"/" + name)
            os.rmdir(store)
        else:
            if how == "replaced":
                shutil.rmtree(place)
            os.rename(store, place)
        for path in self.below(place):
            self.stands_since[path] = self._now()

    def stands(self, path: bytes) -> bool:
        """Say whether anything stands at a path now."""
        return os.path.lexists(path)

    def holds(self, path: bytes) -> bool:
        """Say whether a regular file stands at a path, in truth."""
        return path in self.files

    def _stamp(self, path: bytes, mtime_ns: int | None) -> None:
        tick = self._tick()
        os.utime(path, ns=(tick, tick if mtime_ns is None else mtime_ns))
        status = os.lstat(path)
        self._ctimes[(status.st_dev, status.st_ino)] = tick

    def _tick(self) -> int:
        return int(self._wall() * 1e9) // TICK_NS * TICK_NS

    def _now_holds(self, path: bytes, content: bytes) -> None:
        self.files[path] = content
        self.versions.setdefault(path, set()).add(sha(content))
        if content not in self.contents:
            self.contents.append(content)
        self.changed_at[path] = self._wall()
        self.stands_since.setdefault(path, self._now())

    def _lacks(self, path: bytes) -> None:
        del self.files[path]
        del self.stands_since[path]
        self.changed_at[path] = self._wall()

    # How fileferry sees it

    @contextmanager
    def seen_by_fileferry(self) -> Iterator[None]:
        """Have `fileferry.local` look at the disk through this seam."""
        seam: Any = _Seam(self)
        modules: tuple[Any, ...] = (scanner, reader, root)
        for module in modules:
            module.os = seam
        try:
            yield
        finally:
            for module in modules:
                module.os = os
            self.close_all()

    def close_all(self) -> None:
        """Close what a killed process left open."""
        for descriptor in list(self._open):
            os.close(descriptor)
        self._open.clear()

    def trouble_at(self, path: bytes, *, entering: bool) -> Trouble | None:
        """Return why a path cannot be looked at; `entering`: or opened, or listed."""
        for place, trouble in self.troubles.items():
            if path.startswith(place + b"/") or (path == place and (trouble.hides or entering)):
                return trouble
        return None

    def check(self, path: bytes, *, entering: bool) -> None:
        """Fail as the kernel would."""
        trouble = self.trouble_at(path, entering=entering)
        if trouble is not None:
            raise OSError(trouble.number, os.strerror(trouble.number), path)

    def status(self, real: os.stat_result) -> os.stat_result:
        """Return what `stat` says, its change time in virtual time."""
        ctime_ns = self._ctimes.get((real.st_dev, real.st_ino), 0)
        hidden = {
            "st_mtime_ns": real.st_mtime_ns,
            "st_ctime_ns": ctime_ns,
            "st_ctime": ctime_ns / 1e9,
            "st_mtime": real.st_mtime,
        }
        return os.stat_result(tuple(real)[:10], hidden)

    def opened(self, descriptor: int, path: bytes) -> int:
        """Remember what a descriptor stands for."""
        self._open[descriptor] = path
        return descriptor

    def closed(self, descriptor: int) -> None:
        """Forget a descriptor."""
        self._open.pop(descriptor, None)

    def was_read(self, path: bytes) -> None:
        """Have happen what was to happen now that a file has been read from."""
        trap = self.on_read.get(path)
        if trap is not None:
            trap[0] -= 1
            if trap[0] <= 0:
                del self.on_read[path]
                trap[1]()

    def path_of(self, path: bytes, dir_fd: int | None = None) -> bytes:
        """Return the absolute path that a call means."""
        return path if dir_fd is None else self._open[dir_fd] + b"/" + path


@dataclass(slots=True)
class _Sighted:
    """A DirEntry as far as the scanner needs one."""

    disk: Disk
    real: os.DirEntry[bytes]
    name: bytes
    path: bytes

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self.real.is_dir(follow_symlinks=follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self.real.is_file(follow_symlinks=follow_symlinks)

    def is_symlink(self) -> bool:
        return self.real.is_symlink()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self.disk.check(self.path, entering=False)
        return self.disk.status(self.real.stat(follow_symlinks=follow_symlinks))


@dataclass(slots=True)
class _Listing:
    """What `scandir` returns: in an order of its own, as a real directory is."""

    entries: list[_Sighted]
    position: int = field(default=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _Sighted:
        if self.position >= len(self.entries):
            raise StopIteration
        self.position += 1
        return self.entries[self.position - 1]


class _Seam:
    """A stand-in for the module `os`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        whole = self._disk.path_of(path, dir_fd)
        self._disk.check(whole, entering=True)
        return self._disk.opened(os.open(path, flags, mode, dir_fd=dir_fd), whole)

    def close(self, descriptor: int) -> None:
        self._disk.closed(descriptor)
        os.close(descriptor)

    def fdopen(self, descriptor: int, *args: Any, **options: Any) -> Any:
        self._disk.closed(descriptor)
        return os.fdopen(descriptor, *args, **options)

    def fstat(self, descriptor: int) -> os.stat_result:
        return self._disk.status(os.fstat(descriptor))

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        path = self._disk.path_of(b"", descriptor)[:-1]
        trouble = self._disk.trouble_at(path, entering=True)
        if (
            trouble is not None and trouble.hides
        ):  # an open file outlives a `chmod`, not a broken disk
            raise OSError(trouble.number, os.strerror(trouble.number), path)
        found = os.pread(descriptor, size, offset)
        self._disk.was_read(path)
        return found

    def stat(
        self, path: bytes, *, dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> os.stat_result:
        self._disk.check(self._disk.path_of(path, dir_fd), entering=False)
        return self._disk.status(os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks))

    def lstat(self, path: bytes) -> os.stat_result:
        self._disk.check(path, entering=False)
        return self._disk.status(os.lstat(path))

    def statvfs(self, path: bytes) -> os.statvfs_result:
        self._disk.check(path, entering=False)
        return os.statvfs(path)

    def scandir(self, path: bytes) -> _Listing:
        place = path.rstrip(b"/")
        self._disk.check(place, entering=True)
        with os.scandir(path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        return _Listing(
            [
                _Sighted(self._disk, entry, entry.name, place + b"/" + entry.name)
                for entry in entries
            ]
        )


def sha(content: bytes) -> str:
    """Return the digest by which the emulator knows a content."""
    return hashlib.sha256(content).hexdigest()


EACCES = Trouble(errno.EACCES, hides=False)
EIO = Trouble(errno.EIO, hides=True)
ESTALE = Trouble(errno.ESTALE, hides=True)
