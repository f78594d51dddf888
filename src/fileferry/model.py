"""The values that the rooms hand to each other: frozen, without behaviour that needs the world.

GLOSSARY
  folder    a local directory that is mirrored, with its policy
  entry     one path below a folder, as the index knows it
  stamp     what `fstat` says of a file; two equal stamps mean the same bytes, an order of times means nothing
  content   the unit that is sent: bytes (digest, size) for a purpose, under an extension and a variant
  remote    a file at the API, made from a content; a content has at most one live one
  intent    the record, written ahead, of a call that must not happen twice
  hold      what a guard keeps from happening until somebody approves it
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

DAY = 86_400.0


class EntryState(StrEnum):
    """`files.state` of the public index."""

    SYNCED = "synced"
    PENDING = "pending"
    STALE = "stale"
    REJECTED = "rejected"
    ERROR = "error"
    UNKNOWN = "unknown"
    IGNORED = "ignored"
    KEPT = "kept"


class RemoteState(StrEnum):
    """`remote_files.state` of the public index."""

    LIVE = "live"
    RETIRING = "retiring"
    DELETING = "deleting"
    LOST = "lost"
    DELETED = "deleted"


class Event(StrEnum):
    """`changes.event` of the public index."""

    ADDED = "added"
    UPDATED = "updated"
    RENEWED = "renewed"
    RENAMED = "renamed"
    REMOVED = "removed"
    LOST = "lost"
    RESTORED = "restored"


class RetireReason(StrEnum):
    """Why a remote file is on its way out."""

    REMOVED = "removed"  # its last path went; taken back when the bytes come back
    CHANGED = "changed"  # its last path has other bytes now; the same
    RENEWED = "renewed"  # a younger one took its place; never taken back
    RACE = "race"  # the file moved while it was sent, or its answer came late; never taken back
    FORGOTTEN = "forgotten"  # somebody ended its folder


class Proof(StrEnum):
    """How we know that a remote file is ours."""

    PROVEN = "proven"  # an answer named its id, or its nonce was found
    MATCHED = (
        "matched"  # only name, size, purpose and time agree: never deleted without being asked
    )


class Dedup(StrEnum):
    """What makes two paths share one remote file."""

    CONTENT = "content"
    CONTENT_AND_NAME = "content+name"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What `fstat` says of a regular file. Compare for equality only."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[folder.rule]]`: what is None there is inherited from the folder."""

    match: str
    purpose: str | None = None
    expires_after_seconds: int | None = None
    expires_never: bool = False
    remote_name: str | None = None
    dedup: Dedup | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """One `[[folder]]` of the configuration, checked, in plain units."""

    name: str
    root: bytes
    purpose: str = "user_data"
    expires_after_seconds: int | None = 7 * 86_400
    settle_seconds: float = 2.0
    settle_max_seconds: float = 300.0
    delete_delay_seconds: float = 600.0
    retire_delay_seconds: float = 600.0
    rescan_interval_seconds: float = 900.0
    ignore: tuple[str, ...] = ()
    default_ignore: bool = True
    upload_budget_bytes: int = 10 * 1024**3
    delete_budget: int = 25
    dedup: Dedup = Dedup.CONTENT
    remote_name: str = "{name}"
    digest: str = "xxh3_128"
    symlinks: str = "skip"
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """`[remote]` of the configuration, checked, in plain units. 0 means no limit where a limit is meant."""

    base_url: str = "https://api.openai.com/v1"
    organization: str | None = None
    project: str | None = None
    uploads_per_minute: int = 1000
    concurrency: int = 8
    bandwidth_bytes_per_second: int = 0
    list_lag_seconds: float = 60.0
    multipart_threshold_bytes: int = 128 * 1024**2
    part_concurrency: int = 4
    check_interval_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What the rules of a folder say of one path."""

    purpose: str
    expires_after_seconds: int | None
    remote_name: str
    dedup: Dedup


@dataclass(frozen=True, slots=True)
class ContentKey:
    """The identity of a content. Two paths with equal keys share one remote file."""

    digest: str
    size: int
    purpose: str
    extension: str
    variant: str


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the API describes it; times in server seconds."""

    file_id: str
    name: str
    size: int | None
    purpose: str
    created_at: int
    expires_at: int | None
    request_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a large file that arrived at the API: its id there, and the digest of its bytes."""

    part_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Present:
    """A regular file that was opened, read whole and did not move meanwhile.

    Args:
        stamp: the same before and after it was read.
        digest: of its bytes, with the name of its algorithm: `xxh3_128:<hex>`; "" where it was not worth reading.
        racy: so young that a later change might leave the same stamp; look again.
        problem: why these bytes may not be sent for their purpose, or None.
    """

    stamp: Stamp
    digest: str
    racy: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A regular file that changes, or changed a moment ago.

    Args:
        stamp: as it was at this look.
        quiet_at: wall seconds when it will have been quiet long enough.
    """

    stamp: Stamp
    quiet_at: float


@dataclass(frozen=True, slots=True)
class Absent:
    """Proven not to be there: its nearest surviving ancestor was opened and does not have it."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """It may be there, but cannot be looked at: never to be taken for absent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """The rules say to leave it alone."""


Found = Present | Unsettled | Absent | Unreadable | Ignored


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the index, as far as decisions need it."""

    folder_id: int
    path: bytes
    stamp: Stamp
    state: EntryState
    held_id: int | None
    want_id: int | None
    due_at: float | None
    seen_at: float
    unsettled_at: float | None
    absent: bool
    attempts: int
    approved: bool


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What the index knows of a content when a path is to be put on it.

    Args:
        live: it has a remote file that answers.
        revivable: it has one on its way out that may still be taken back.
        in_flight: an intent for it is open, or its outcome is unknown.
    """

    live: bool
    revivable: bool
    in_flight: bool
