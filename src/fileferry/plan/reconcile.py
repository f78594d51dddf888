"""Differences to decisions: what to do with one path, given what was found on disk and what the index knows.

The three trees are local (a `Found`), the index (an `Entry`, `ContentFacts`) and the remote, which is known only
through the index: nothing here asks anybody. The order in which decisions are carried out is the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from fileferry.model import (
    Absent,
    ContentFacts,
    Folder,
    Ignored,
    Present,
    Unreadable,
    Unsettled,
)
from fileferry.plan import backoff, rules

if TYPE_CHECKING:
    from fileferry.model import ContentKey, Entry, Found, Stamp

RACY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """These bytes are at the path: put it on their content."""

    key: ContentKey
    stamp: Stamp
    look_again_at: float | None


@dataclass(frozen=True, slots=True)
class Reject:
    """These bytes cannot be sent as they are; an id of an older version stays."""

    stamp: Stamp
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """It is still moving."""

    stamp: Stamp
    until: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """It cannot be looked at: keep everything, report, look again."""

    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class Vanish:
    """It is proven gone: let it go when the guard has spoken."""


@dataclass(frozen=True, slots=True)
class Disregard:
    """It is ignored now: what it has stays, what it wants is forgotten."""


Decision = Place | Reject | Wait | Suspect | Vanish | Disregard


def decide(entry: Entry, found: Found, folder: Folder, *, now: float, multipart: bool) -> Decision:
    """Return what to do with a path.

    Args:
        entry: the path as the index knows it.
        found: the path as it is on disk.
        folder: the policy of its folder.
        now: wall seconds.
        multipart: whether files over 512 MB have a way.
    """
    match found:
        case Present():
            key = rules.content_key(folder, entry.path, digest=found.digest, size=found.stamp.size)
            reason = rules.refusal(key, multipart=multipart) or found.problem
            if reason is not None:
                return Reject(found.stamp, reason)
            return Place(key, found.stamp, now + RACY_SECONDS if found.racy else None)
        case Unsettled():
            return Wait(found.stamp, max(found.quiet_at, now))
        case Absent():
            return Vanish()
        case Unreadable():
            delay = backoff.ceiling_seconds(entry.attempts)
            return Suspect(found.reason, now + delay)
        case Ignored():
            return Disregard()
        case _:
            assert_never(found)


@dataclass(frozen=True, slots=True)
class Link:
    """Its content has a remote file: point at it."""


@dataclass(frozen=True, slots=True)
class Revive:
    """Its content has a remote file that was about to go: take it back, then point at it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Its content has none: have it sent."""


@dataclass(frozen=True, slots=True)
class Await:
    """Its content is being sent, or may have been: wait for the answer."""


def place(facts: ContentFacts) -> Link | Revive | Upload | Await:
    """Return how a path gets the id of its content."""
    if facts.live:
        return Link()
    if facts.revivable:
        return Revive()
    if facts.in_flight:
        return Await()
    return Upload()
