"""The ordered walk: every regular file below a root, in byte order of its path, one directory in memory at a time.

Byte order of whole paths is had by sorting each directory with a slash after the names of directories, as git's
trees are. It is the order of the index's rows, so that both can be joined without holding either.

What cannot be looked at is yielded as Dark and never left out silently: absence is only what the walk did not
yield below directories that it did list. Never followed: symbolic links (unless the folder says so, and then only
to targets inside it), special files, other file systems.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fileferry.ignore.rules import Matcher, Rules

_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
RULES_NAME = b".ferryignore"
LONGEST_RULES_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Dark:
    """A file or directory that cannot be looked at, and why."""

    reason: str


Sighting = tuple[bytes, "os.stat_result | Dark"]
_Item = tuple[bytes, "os.stat_result | Dark | None", "Matcher | None"]


@dataclass(frozen=True, slots=True)
class Walk:
    """How a root is walked.

    Args:
        root: its absolute path.
        rules: the ignore rules of its folder.
        foreign: relative paths of directories that other folders own.
        follow_inside: follow symbolic links whose target is inside the root.
        rules_files: where the walk notes each `.ferryignore` that it read: path and content.
    """

    root: bytes
    rules: Rules
    foreign: frozenset[bytes] = frozenset()
    follow_inside: bool = False
    rules_files: list[tuple[bytes, bytes]] = field(default_factory=list)

    def files(self, start: bytes = b"") -> Iterator[Sighting]:
        """Yield what is below `start`, a directory relative to the root.

        Raises:
            OSError: `start` itself cannot be listed.
        """
        device = os.stat(self.root).st_dev
        matcher = self.rules.root()
        above = b""
        for part in start.split(b"/") if start else ():
            matcher = self._entered(matcher, above, rules_text(self.root, above))
            if matcher.ignored(part, True):
                return
            matcher = matcher.enter(part)
            above += part + b"/"
        stack = [iter(self._listing(above, matcher, device))]
        while stack:
            for path, found, child in stack[-1]:
                if child is None:
                    assert found is not None, "only directories come without a finding"
                    yield path, found
                    continue
                try:
                    stack.append(iter(self._listing(path, child, device)))
                except OSError as error:
                    if error.errno not in _GONE:
                        yield path[:-1], Dark(_reason(error, "directory"))
                    continue
                break
            else:
                stack.pop()

    def _entered(self, matcher: Matcher, prefix: bytes, text: bytes | None) -> Matcher:
        if text is None:
            return matcher
        self.rules_files.append((prefix + RULES_NAME, text))
        return matcher.enter(b"", text, prefix + RULES_NAME)

    def _listing(self, prefix: bytes, matcher: Matcher, device: int) -> list[_Item]:
        here = self.root + b"/" + prefix
        with os.scandir(here) as listing:
            entries = list(listing)
        if any(entry.name == RULES_NAME for entry in entries):
            matcher = self._entered(matcher, prefix, rules_text(self.root, prefix))
        ignored = matcher.ignored
        found: list[_Item] = []
        for entry in entries:
            name = entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if ignored(name, True) or prefix + name in self.foreign:
                        continue
                    found.append(_directory(prefix, name, here, matcher, device))
                elif ignored(name, False):
                    continue
                elif entry.is_file(follow_symlinks=False):
                    found.append((prefix + name, entry.stat(follow_symlinks=False), None))
                elif self.follow_inside and entry.is_symlink():
                    found += self._link(prefix, name, here, matcher, device)
            except OSError as error:
                if error.errno not in _GONE:
                    found.append((prefix + name, Dark(_reason(error, "file")), None))
        found.sort(key=_path)
        return found

    def _link(
        self, prefix: bytes, name: bytes, here: bytes, matcher: Matcher, device: int
    ) -> list[_Item]:
        target = inside(self.root, here + name)
        if target is None:
            return []
        status = os.stat(target)
        if stat.S_ISREG(status.st_mode):
            return [(prefix + name, status, None)]
        if stat.S_ISDIR(status.st_mode) and not self._is_loop(target, prefix):
            return [_directory(prefix, name, here, matcher, device)]
        return []

    def _is_loop(self, target: bytes, prefix: bytes) -> bool:
        """Say whether a walk that came along `prefix` would be led back to where it has been, and never end."""
        above = [
            prefix[:place] for place in range(len(prefix)) if prefix[place : place + 1] == b"/"
        ]
        real = (os.path.realpath(self.root + b"/" + directory) for directory in (b"", *above))
        return any(_encloses(target, directory) for directory in real)


def _directory(prefix: bytes, name: bytes, here: bytes, matcher: Matcher, device: int) -> _Item:
    if os.stat(here + name).st_dev != device:
        dark = Dark("another file system is mounted here; fileferry does not cross into it")
        return (prefix + name, dark, None)
    return (prefix + name + b"/", None, matcher.enter(name))


def inside(root: bytes, path: bytes) -> bytes | None:
    """Return what a path leads to when all links are followed, if that is inside the root; else None."""
    target = os.path.realpath(path)
    return target if target.startswith(os.path.realpath(root) + b"/") else None


def _encloses(target: bytes, here: bytes) -> bool:
    return here == target or here.startswith(target + b"/")


def _path(item: tuple[bytes, object, object]) -> bytes:
    return item[0]


def rules_text(root: bytes, prefix: bytes) -> bytes | None:
    """Return the text of the ignore rules in a directory (relative, with its slash), or None without any."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(root + b"/" + prefix + RULES_NAME, flags)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(LONGEST_RULES_BYTES)


def _reason(error: OSError, kind: str) -> str:
    return f"{kind} cannot be read: {(error.strerror or 'unknown error').lower()}"
