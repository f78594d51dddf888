"""What is usually wrong with mirrored directories: events that never come, places that cannot be read, twin names."""

from __future__ import annotations

import ctypes
import errno
import os
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fileferry.daemon.diagnosis import Diagnosis, fail, ok, warn
from fileferry.daemon.enlist import mirror_of
from fileferry.index.identity import shown
from fileferry.local.scanner import Dark
from fileferry.local.watch_coverage import (
    count_all,
    file_system_type,
    sends_events,
    watch_limit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fileferry.daemon.mirror import Mirror
    from fileferry.model import Folder

ENOUGH = 0.8


@dataclass(slots=True)
class _Look:
    """What one walk showed."""

    files: int = 0
    dark: list[tuple[bytes, str]] = field(default_factory=list)
    twins: list[tuple[str, bytes, bytes]] = field(default_factory=list)


def diagnose(folders: Sequence[Folder]) -> Iterator[Diagnosis]:
    """Look at every folder, then at what the kernel can watch."""
    roots = {folder.root for folder in folders}
    for folder in folders:
        yield from _folder(mirror_of(folder, -1, roots))
    yield from watches(count_all(root for root in roots if os.path.isdir(root)))


def watches(needed: int) -> Iterator[Diagnosis]:
    """Compare what has to be watched with what the kernel allows."""
    limit = watch_limit()
    if limit is None:
        yield warn("inotify", "this kernel has no inotify: changes are found by rescans alone")
        return
    detail = f"{needed:,} directories to watch, {limit:,} allowed for this user's programs together"
    if needed > limit * ENOUGH:
        more = max(524_288, 2 * needed)
        yield warn(
            "inotify",
            detail,
            f"`sysctl -w fs.inotify.max_user_watches={more}`, and the same line in /etc/sysctl.d/",
        )
    else:
        yield ok("inotify", detail)
    if not _can_watch():
        yield fail(
            "inotify instances",
            "no further program of this user can watch",
            "`sysctl -w fs.inotify.max_user_instances=512`, and the same line in /etc/sysctl.d/",
        )


def _folder(mirror: Mirror) -> Iterator[Diagnosis]:
    folder = mirror.folder
    what = f"folder {folder.name}"
    root = shown(folder.root)
    if not os.path.isdir(folder.root):
        yield fail(what, f"`{root}` is no directory, or cannot be seen", "is it mounted?")
        return
    kind = file_system_type(folder.root) or "unknown"
    if not sends_events(folder.root):
        yield warn(
            what,
            f"`{root}` is on {kind}, which tells nothing of changes by other machines",
            f"changes are found every {folder.rescan_interval_seconds:.0f} s: lower rescan_interval if that is slow",
        )
    look = _Look()
    try:
        _walk(mirror, look)
    except OSError as error:
        yield fail(what, f"`{root}` cannot be read: {(error.strerror or '').lower()}")
        return
    yield ok(what, f"`{root}` on {kind}, {look.files:,} files")
    if look.dark:
        path, reason = look.dark[0]
        yield warn(
            what,
            f"{len(look.dark):,} places cannot be looked at, such as `{shown(path)}`: {reason}",
            "let this user read them, or ignore them",
        )
    for kind_of_twin in ("case", "unicode"):
        twins = [pair for pair in look.twins if pair[0] == kind_of_twin]
        if twins:
            _, one, other = twins[0]
            alike = "letter case" if kind_of_twin == "case" else "Unicode normal form (NFC, NFD)"
            yield warn(
                what,
                f"{len(twins):,} names differ only in {alike}, such as `{shown(one)}` and `{shown(other)}`",
                "both are mirrored, as two files; other systems may take them for one",
            )


def _walk(mirror: Mirror, look: _Look) -> None:
    """Walk once, with one table of names for each directory that is open."""
    above: list[bytes] = []
    tables: list[dict[str, bytes]] = [{}]
    for path, found in mirror.walk().files():
        if isinstance(found, Dark):
            look.dark.append((path, found.reason))
        else:
            look.files += 1
        *parents, name = path.split(b"/")
        depth = 0
        while depth < min(len(above), len(parents)) and above[depth] == parents[depth]:
            depth += 1
        del above[depth:], tables[depth + 1 :]
        for parent in parents[depth:]:
            _enter_name(tables[-1], above, parent, look)
            above.append(parent)
            tables.append({})
        _enter_name(tables[-1], above, name, look)


def _enter_name(table: dict[str, bytes], above: list[bytes], name: bytes, look: _Look) -> None:
    text = name.decode("utf-8", "surrogateescape")
    composed = unicodedata.normalize("NFC", text)
    other = table.setdefault(unicodedata.normalize("NFC", composed.casefold()), name)
    if other != name:
        before = unicodedata.normalize("NFC", other.decode("utf-8", "surrogateescape"))
        kind = "unicode" if before == composed else "case"
        look.twins.append((kind, b"/".join([*above, other]), name))


def _can_watch() -> bool:
    """Say whether one more inotify instance can be had, by having one for a moment."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_CLOEXEC)
    if descriptor >= 0:
        os.close(descriptor)
        return True
    return ctypes.get_errno() not in {errno.EMFILE, errno.ENFILE}
