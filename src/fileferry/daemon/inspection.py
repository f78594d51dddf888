"""Read: look at one path as closely as it takes to say what bytes are there. Blocks, and runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.errors import SourceChanged, SourceGone, SourceUnreadable
from fileferry.local.batch_lines import BatchLines
from fileferry.local.reader import digest, open_source
from fileferry.model import Absent, Ignored, Present, Unreadable, Unsettled
from fileferry.plan import rules
from fileferry.plan.settle import is_racy, quiet_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from fileferry.daemon.mirror import Mirror
    from fileferry.model import Entry, Found, Stamp

LONG_READ_BYTES = 8 * 1024 * 1024  # longer files are read beside the others, not among them


def inspect(mirror: Mirror, entry: Entry, wall: Callable[[], float], *, multipart: bool) -> Found:
    """Return what is at the path of an entry.

    Args:
        mirror: its folder.
        entry: as the index knows it.
        wall: the wall clock.
        multipart: whether files over 512 MB have a way; what cannot be sent is not read.
    """
    folder = mirror.folder
    try:
        if mirror.leaves_out(entry.path):
            return Ignored()
        with open_source(
            folder.root, entry.path, algorithm=folder.digest, follow_inside=mirror.follows
        ) as source:
            now = wall()
            quiet = _quiet_at(mirror, entry, source.stamp, now)
            if quiet > now:
                return Unsettled(source.stamp, quiet)
            key = rules.content_key(folder, entry.path, digest="", size=source.stamp.size)
            if rules.refusal(key, multipart=multipart):
                return Present(source.stamp, "")
            lines = BatchLines() if key.purpose == "batch" else None
            try:
                found = digest(source, None if lines is None else lines.feed)
            except SourceChanged:
                return Unsettled(source.stamp, now + folder.settle_seconds)
            return Present(
                source.stamp,
                found,
                racy=is_racy(source.stamp, read_at=now),
                problem=None if lines is None else lines.finish(),
            )
    except SourceGone:
        return Absent()
    except SourceUnreadable as error:
        return Unreadable(error.message)
    except OSError as error:
        return Unreadable(f"`{entry.path!r}` cannot be read: {error.strerror}")


def inspect_all(
    work: list[tuple[Mirror, Entry]], wall: Callable[[], float], *, multipart: bool
) -> list[tuple[Mirror, Entry, Found]]:
    """Inspect some entries one after the other."""
    return [
        (mirror, entry, inspect(mirror, entry, wall, multipart=multipart)) for mirror, entry in work
    ]


def _quiet_at(mirror: Mirror, entry: Entry, stamp: Stamp, now: float) -> float:
    # A clock that was set back may have left `seen_at` ahead: then it counts from now.
    seen_before = stamp == entry.stamp and entry.seen_at <= now
    return quiet_at(
        stamp,
        seen_at=entry.seen_at if seen_before else now,
        now=now,
        settle_seconds=mirror.folder.settle_seconds,
        unsettled_at=entry.unsettled_at,
        settle_max_seconds=mirror.folder.settle_max_seconds,
    )
