"""The contract of a remote: a few calls, and few kinds of failure.

Every implementation and every wrapper keeps it (`tests/contract`):

  * A call that returns was done, once.
  * `RemoteRefused` (and below): not done, and asking again will not help.
  * `RemoteUnavailable`: not done, known for sure; asking again may help.
  * `Barred`: as that, but of a call that carries or announces a file, and perhaps because of it: others may pass.
  * `OutcomeUnknown`: done, or not. `create` and `complete_upload` raise it whenever the request may have arrived.
    The others never do, because they may simply be asked again: an Upload that nobody completes, and a part that
    nobody names, leave nothing behind.
  * No retries, except by a wrapper that says so, and never of a `create` whose outcome is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileferry.model import RemoteFile


class Body(Protocol):
    """Bytes to be sent: a file object that is read once, from its start."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, b"" at the end."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move the position."""

    def tell(self) -> int:
        """Return the position."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What is sent, and how it is called there.

    Args:
        name: the file name that the API is told.
        size: bytes of the body.
        purpose: one of the API's purposes.
        expires_seconds: how long it lives, counted from its creation; None for ever.
    """

    name: str
    size: int
    purpose: str
    expires_seconds: int | None


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """A file that is being sent in parts; times in server seconds. After `expires_at` it takes nothing more."""

    upload_id: str
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the listing, oldest first. `after` names where the next begins; None: this was the last."""

    files: tuple[RemoteFile, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """Who the API says we are, from the headers of its answers; None where it does not say."""

    organization: str | None
    project: str | None


class Remote(Protocol):
    """Files at an API."""

    async def hello(self) -> Account:
        """Ask for as little as possible, to learn whether the key is good and whose it is."""

    async def create(self, upload: Upload, body: Body) -> RemoteFile:
        """Send one file, once."""

    async def begin_upload(self, upload: Upload) -> PendingUpload:
        """Announce a file that comes in parts; PartsRefused when it cannot, or not for this purpose."""

    async def send_part(self, upload_id: str, body: Body, size: int) -> str:
        """Send one part, in any order and beside others; return its id."""

    async def complete_upload(
        self, upload_id: str, part_ids: Sequence[str], *, md5: str
    ) -> RemoteFile:
        """Make a file of the parts, in this order, once; the API compares the MD5 (hex) and the size."""

    async def cancel_upload(self, upload_id: str) -> None:
        """Give up an Upload; one that is over in any way counts as given up."""

    async def page(self, after: str | None) -> Page:
        """Return the files of the project, of every purpose, oldest first, from behind `after`."""

    async def get(self, file_id: str) -> RemoteFile:
        """Describe one file; RemoteMissing when there is none."""

    async def delete(self, file_id: str) -> None:
        """Delete one file; one of which the API itself says that it is not there counts as deleted."""

    def skew_seconds(self) -> float:
        """Return how far the server's clock is ahead of ours, as far as known; 0 before the first answer."""

    def is_time_doubtful(self) -> bool:
        """Say whether the last answer told another time than those before, so that one more has to decide."""

    async def aclose(self) -> None:
        """Close connections."""
