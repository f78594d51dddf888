"""Open what is to be sent: the first path that still has the bytes, proven to be the ones that were planned."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.errors import SourceChanged, SourceError
from fileferry.index.intents import Reading
from fileferry.local.reader import digest, glance, open_source
from fileferry.local.stamp import stamp_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fileferry.daemon.mirror import Mirror
    from fileferry.index.contents import Origin, Want
    from fileferry.local.reader import Source
    from fileferry.remote.base import Body

SMALL_BYTES = 256 * 1024


@dataclass(slots=True)
class Opened:
    """A source that is ready to be sent, and the path it was found at.

    Args:
        mirror, origin: where it was found, and as what.
        body: its bytes.
        source: open while a large body is sent; a small one is in memory, hashed and closed.
        in_parts: it goes in parts, which are compared before a file is made of them.
        completing: a file may have been made of its parts.
    """

    mirror: Mirror
    origin: Origin
    body: Body
    source: Source | None
    in_parts: bool = False
    completing: bool = False

    @property
    def shown(self) -> str:
        """Return how the path is called in logs."""
        return f"{self.mirror.folder.name}:{_text(self.origin.path)}"

    @property
    def is_in_memory(self) -> bool:
        """Say whether its bytes were read, hashed and compared before they were sent."""
        return self.source is None

    @property
    def reading(self) -> Reading | None:
        """Return what is read while it is sent; None: its bytes are compared before anything comes of them."""
        if self.is_in_memory or self.in_parts:
            return None
        return Reading(self.origin.folder_id, self.origin.path, self.origin.stamp)

    @property
    def may_be_stored(self) -> bool:
        """Say whether all was sent, so that a file may have come of it though no answer did."""
        return self.completing if self.in_parts else self.body.tell() >= self.origin.stamp.size

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.source is not None:
            self.source.close()

    def verify(self, expected: str) -> bool:
        """Check that the bytes that were sent have the digest: then they are a version of the file.

        Returns:
            Whether the file has moved on since, as far as its descriptor tells.

        Raises:
            SourceChanged: they do not.
        """
        if self.in_parts or self.source is None:
            return False
        if self.source.digest_read() != expected:
            raise SourceChanged("the bytes that were sent are not those that were planned")
        return not self.source.still()


def open_first(mirrors: Mapping[int, Mirror], want: Want) -> Opened | SourceError:
    """Open the first path that still has the bytes. Blocks."""
    failure: SourceError = SourceChanged("no path has these bytes any more")
    for origin in want.origins:
        mirror = mirrors.get(origin.folder_id)
        if mirror is None:
            continue
        try:
            return _open_one(mirror, origin, want.key.digest)
        except SourceError as error:
            failure = error
    return failure


def is_unchanged(mirrors: Mapping[int, Mirror], reading: Reading) -> bool:
    """Say whether a file is still what it was when it was planned to be sent. Blocks."""
    mirror = mirrors.get(reading.folder_id)
    if mirror is None:
        return False
    try:
        status = glance(mirror.folder.root, reading.path, follow_inside=mirror.follows)
    except SourceError:
        return False
    return stamp_of(status) == reading.stamp


def _open_one(mirror: Mirror, origin: Origin, expected: str) -> Opened:
    folder, path = mirror.folder, origin.path
    source = open_source(folder.root, path, algorithm=folder.digest, follow_inside=mirror.follows)
    try:
        if source.stamp != origin.stamp:
            raise SourceChanged(f"`{_text(path)}` changed")
        if origin.stamp.size > SMALL_BYTES:
            return Opened(mirror, origin, source, source)
        pieces: list[bytes] = []
        if digest(source, pieces.append) != expected:
            raise SourceChanged(f"`{_text(path)}` changed")
    except BaseException:  # whatever ends it, the descriptor is nobody else's to close
        source.close()
        raise
    source.close()
    return Opened(mirror, origin, io.BytesIO(b"".join(pieces)), None)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
