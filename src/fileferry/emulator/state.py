"""The emulator's whole state in one object: what the endpoints share and the switchboard turns.

In one process with a test it is `app.state.emulator`; over HTTP the switchboard offers the same.
"""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .clock import Clock
from .faults import Fault, FaultBoard, PlantedFault
from .journal import Journal, ReceivedRequest
from .keys import DEFAULT_PROJECT, Key, KeyRing
from .limits import RateLimiter
from .records import FileRecord
from .rules import DEFAULT_EXPIRY_SECONDS
from .spool import Spool
from .store import FileStore
from .upload_store import UploadStore

__all__ = ["Emulator", "Options"]

_ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Options:
    """How the emulator behaves.

    Args:
        data: Where files are kept; None for a temporary place.
        requests_per_minute: The rate limit of every key; None or 0 for none.
        latency_ms: How long every answer is held back at least.
        bandwidth: Bytes per second that a connection may send; None or 0 for any.
        inline_io: Do disk work on the event loop, for deterministic simulation.
        seed: Makes ids repeatable.
        max_file_bytes: The most bytes of one file (512 MB, read as MiB).
        uploads_all_purposes: Let /uploads take the purposes that its reference leaves out.
    """

    data: Path | None = None
    requests_per_minute: int | None = None
    latency_ms: float = 0.0
    bandwidth: float | None = None
    inline_io: bool = False
    seed: int | None = None
    max_file_bytes: int = 512 * 1024 * 1024
    uploads_all_purposes: bool = False


class Emulator:
    """Everything the server knows."""

    def __init__(self, options: Options, wall: Callable[[], float] | None = None) -> None:
        self.options = options
        self.clock = Clock(wall)
        self.store = FileStore(options.data)
        self.uploads = UploadStore(self.store)
        self.faults = FaultBoard()
        self.keys = KeyRing()
        self.journal = Journal()
        self.limiter = RateLimiter(options.requests_per_minute)
        # Ids that can be repeated in a simulation; nothing here is a secret.
        self._random = random.Random(options.seed)  # noqa: S311

    def close(self) -> None:
        """Close the store; a temporary one is removed."""
        self.store.close()

    def fresh_id(self, prefix: str) -> str:
        """Return an id as the API forms them: a prefix and 24 letters and digits."""
        return prefix + "".join(self._random.choices(_ALPHANUMERIC, k=24))

    def request_id(self) -> str:
        """Return the value of an x-request-id header."""
        return f"req_{self._random.getrandbits(128):032x}"

    def spool(self, limit: int, *, hashed: bool = True) -> Spool:
        """Return a place for a body that is about to arrive."""
        return Spool(
            self.store.incoming_path(), limit=limit, inline=self.options.inline_io, hashed=hashed
        )

    def draft(
        self,
        *,
        project: str,
        filename: str,
        purpose: str,
        size: int,
        sha256: str,
        expires_after: int | None,
    ) -> FileRecord:
        """Return the record of a file that is made now; the store gives it its place."""
        now = self.clock.now()
        if expires_after is None:
            expires_after = DEFAULT_EXPIRY_SECONDS.get(purpose)
        return FileRecord(
            seq=0,
            id=self.fresh_id("file-"),
            project=project,
            filename=filename,
            purpose=purpose,
            bytes=size,
            sha256=sha256,
            created_at=int(now),
            expires_at=None if expires_after is None else int(now) + expires_after,
            stored_at=now,
            deleted_at=None,
        )

    # What a test turns; over HTTP, the switchboard.

    def add_fault(self, fault: Fault) -> PlantedFault:
        """Plant a fault."""
        return self.faults.add(fault)

    def clear_faults(self) -> None:
        """Take every fault away."""
        self.faults.clear()

    def set_requests_per_minute(self, limit: int | None) -> None:
        """Change the rate limit; what was counted before is forgotten."""
        self.options = replace(self.options, requests_per_minute=limit)
        self.limiter = RateLimiter(limit)

    def set_latency_ms(self, latency_ms: float) -> None:
        """Change how long every answer is held back."""
        self.options = replace(self.options, latency_ms=latency_ms)

    def set_uploads_all_purposes(self, is_allowed: bool) -> None:
        """Say whether /uploads takes every purpose."""
        self.options = replace(self.options, uploads_all_purposes=is_allowed)

    def set_key(self, key: Key) -> None:
        """Say what an API key may do and whose it is."""
        self.keys.set(key)

    def requests(self) -> list[ReceivedRequest]:
        """Return what was received, in order."""
        return self.journal.entries()

    def clear_requests(self) -> None:
        """Forget what was received."""
        self.journal.clear()

    def files(self) -> list[FileRecord]:
        """Return every file that was ever stored, in order, of all projects."""
        return self.store.history()

    async def add_file(
        self,
        content: bytes,
        *,
        filename: str,
        purpose: str = "user_data",
        project: str = DEFAULT_PROJECT,
        expires_after: int | None = None,
    ) -> FileRecord:
        """Store somebody else's file, past every rule and limit of the API."""
        spool = self.spool(len(content))
        try:
            await spool.write(content)
            body = await spool.finish()
        except BaseException:  # a cancelled request, too, must leave no spooled bytes
            spool.discard()
            raise
        record = self.draft(
            project=project,
            filename=filename,
            purpose=purpose,
            size=body.size,
            sha256=body.sha256,
            expires_after=expires_after,
        )
        return self.store.create(record, body)
