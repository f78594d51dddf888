"""A history: what happens to a world, step by step, made from a seed.

A step says what kind of thing happens and after how many seconds; which file it happens to is picked, by the step's own
seed, from what is there by then. So a history stays meaningful when steps are taken out of it to make it smaller.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Kind(StrEnum):
    """What a step does."""

    WRITE = "write"
    EDIT = "edit"
    EDIT_SAME_SIZE = "edit, same size"
    EDIT_SAME_STAMP = "edit, same size and mtime"
    APPEND = "append"
    EMPTY = "empty"
    EDIT_IN_FLIGHT = "edit in flight"
    EDIT_TWICE = "edit twice within a tick"
    REPLACE = "replace"
    TOUCH = "touch"
    REMOVE = "remove"
    REMOVE_MANY = "remove many"
    REMOVE_DIRECTORY = "remove directory"
    RENAME = "rename"
    RENAME_OVER = "rename over another"
    SWAP = "swap"
    RENAME_DIRECTORY = "rename directory"
    COPY = "copy"
    BRING_BACK = "bring back old bytes"
    FLICKER = "gone for a moment"
    UNREADABLE = "unreadable"
    READABLE = "readable"
    ROOT_AWAY = "root away"
    ROOT_BACK = "root back"
    RULES_FILE = "write rules file"
    CONFIGURE = "configure"
    FAULT = "fault"
    NO_FAULTS = "no faults"
    BLACKOUT = "blackout"
    HOLE = "a listing with a hole"
    OTHERS_DELETE = "others delete"
    OTHERS_DELETE_RENEWED = "others delete what was just renewed"
    OTHERS_CREATE = "others create"
    TWIN = "others send the same at the same time"
    SUSPEND = "suspend"
    NEAR_EXPIRY = "asleep until a renewal"
    CLOCK_FORWARD = "clock forward"
    CLOCK_BACK = "clock back"
    LOOK = "look"
    CRASH = "crash"
    FUSE = "fuse"
    DEAF = "killed before it hears of an upload"
    RESTART = "restart"
    APPROVE = "approve"
    DISCARD = "discard"
    DISK_FULL = "disk full"
    DISK_HANGS = "disk hangs"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, so many seconds after the one before."""

    after_seconds: float
    kind: Kind
    seed: int


WEIGHTS: dict[Kind, int] = {
    Kind.WRITE: 14,
    Kind.EDIT: 10,
    Kind.EDIT_SAME_SIZE: 3,
    Kind.EDIT_SAME_STAMP: 2,
    Kind.APPEND: 3,
    Kind.EMPTY: 2,
    Kind.EDIT_IN_FLIGHT: 3,
    Kind.EDIT_TWICE: 2,
    Kind.REPLACE: 4,
    Kind.TOUCH: 2,
    Kind.REMOVE: 6,
    Kind.REMOVE_MANY: 2,
    Kind.REMOVE_DIRECTORY: 1,
    Kind.RENAME: 5,
    Kind.RENAME_OVER: 2,
    Kind.SWAP: 1,
    Kind.RENAME_DIRECTORY: 3,
    Kind.COPY: 4,
    Kind.BRING_BACK: 5,
    Kind.FLICKER: 3,
    Kind.UNREADABLE: 4,
    Kind.READABLE: 3,
    Kind.ROOT_AWAY: 2,
    Kind.ROOT_BACK: 4,
    Kind.RULES_FILE: 2,
    Kind.CONFIGURE: 2,
    Kind.FAULT: 12,
    Kind.NO_FAULTS: 5,
    Kind.BLACKOUT: 2,
    Kind.HOLE: 2,
    Kind.OTHERS_DELETE: 1,
    Kind.OTHERS_DELETE_RENEWED: 1,
    Kind.OTHERS_CREATE: 2,
    Kind.TWIN: 3,
    Kind.SUSPEND: 2,
    Kind.NEAR_EXPIRY: 3,
    Kind.CLOCK_FORWARD: 1,
    Kind.CLOCK_BACK: 1,
    Kind.LOOK: 4,
    Kind.CRASH: 3,
    Kind.FUSE: 7,
    Kind.DEAF: 3,
    Kind.RESTART: 2,
    Kind.APPROVE: 3,
    Kind.DISCARD: 2,
    Kind.DISK_FULL: 1,
    Kind.DISK_HANGS: 1,
    Kind.RETRY: 1,
}
DELAYS = (0.0, 0.0, 0.004, 0.1, 0.5, 1.5, 3.0, 3.0, 8.0, 20.0, 45.0, 90.0)


def make(seed: int, length: int | None = None, *, only: Collection[Kind] = ()) -> list[Step]:
    """Return the history of a seed.

    Args:
        length: how many steps it has beside its first files; None: as chance will have it.
        only: what happens in it; empty: everything.
    """
    chance = random.Random(f"history {seed}")
    kinds = [kind for kind in WEIGHTS if kind in only or not only]
    # Each history has its own temper: some kinds happen often in it and others never.
    weights = [WEIGHTS[kind] * chance.choice((0, 1, 1, 2, 4)) for kind in kinds]
    count = chance.randint(6, 40) if length is None else length
    first = [Step(0.0, Kind.WRITE, chance.getrandbits(32)) for _ in range(chance.randint(1, 7))]
    return first + [
        Step(
            chance.choice(DELAYS),
            chance.choices(kinds, weights)[0] if any(weights) else Kind.WRITE,
            chance.getrandbits(32),
        )
        for _ in range(count)
    ]
