"""What can be made to go wrong, and which requests it hits. It decides; the gate acts.

A fault names a method and a route, lets some requests through first, then hits a number of them or
all, with a probability if wanted. Several may hit the same request: they apply in the order in
which they were added, up to the first that ends the request.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["TERMINAL", "Fault", "FaultBoard", "FaultKind", "Moment", "PlantedFault"]


class FaultKind(StrEnum):
    """What happens to a request that is hit."""

    STATUS = "status"
    """Answered with an error, nothing stored."""
    DELAY = "delay"
    """Slow: before it is handled, or after it was and before the answer."""
    DROP_BEFORE = "drop_before"
    """The connection closes before anything is stored."""
    DROP_AFTER = "drop_after"
    """Stored; then the connection closes without an answer."""
    TRUNCATE = "truncate"
    """Stored; the answer stops in its middle."""
    STALE_LISTING = "stale_listing"
    """A listing of the past: new files missing, deleted ones still there."""
    STALE_GET = "stale_get"
    """A new file is answered with 404."""
    NULL_BYTES = "null_bytes"
    """FileObject.bytes is null: the size is not yet known."""


class Moment(StrEnum):
    """When a fault strikes, for the kinds that can choose."""

    HEAD = "head"
    """`drop_before`: as soon as the request's head was read."""
    BODY = "body"
    """`drop_before`: once its body was read too."""
    BEFORE = "before"
    """`delay`: before the request is handled."""
    AFTER = "after"
    """`delay`: after it was handled, before it is answered."""


TERMINAL = frozenset({FaultKind.STATUS, FaultKind.DROP_BEFORE})
"""Kinds that end a request before it is handled."""

_MOMENTS: Mapping[FaultKind, tuple[Moment, ...]] = {
    FaultKind.DELAY: (Moment.BEFORE, Moment.AFTER),
    FaultKind.DROP_BEFORE: (Moment.BODY, Moment.HEAD),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to go wrong.

    `path` is a pattern over the whole path: `*` is one segment, `**` any number of characters.
    `count` None means for ever. `seconds` is the length of a delay, or the age below which a file
    is hidden; `deleted_seconds` is how long a listing still shows what was deleted.
    """

    kind: FaultKind
    method: str | None = None
    path: str = "/v1/**"
    count: int | None = 1
    skip: int = 0
    probability: float | None = None
    seed: int = 0
    when: Moment | None = None
    seconds: float = 0.0
    deleted_seconds: float = 0.0
    status: int = 500
    code: str | None = None
    message: str = "The server had an error while processing your request."
    type: str = "server_error"
    retry_after: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        moments = _MOMENTS.get(self.kind, ())
        if self.when is not None and self.when not in moments:
            raise ValueError(f"`when` of a `{self.kind}` fault cannot be `{self.when}`")
        if self.count is not None and self.count < 0:
            raise ValueError("`count` cannot be negative")

    def strikes(self, moment: Moment) -> bool:
        """Say whether this is when it strikes; the first choice of its kind is the default."""
        moments = _MOMENTS.get(self.kind, ())
        return moment in moments and moment == (self.when or moments[0])


class PlantedFault:
    """A fault in its place, with what it did so far."""

    def __init__(self, number: int, fault: Fault) -> None:
        self.number = number
        self.fault = fault
        self.seen = 0
        self.hits = 0
        # Chance that can be repeated, not secrecy.
        self._random = random.Random(fault.seed)  # noqa: S311
        self._pattern = re.compile(_pattern(fault.path))

    def takes(self, method: str, path: str) -> bool:
        """Say whether this request is hit, and count it."""
        fault = self.fault
        if fault.method is not None and fault.method.upper() != method:
            return False
        if fault.count is not None and self.hits >= fault.count:
            return False
        if not self._pattern.fullmatch(path):
            return False
        self.seen += 1
        if self.seen <= fault.skip:
            return False
        if fault.probability is not None and self._random.random() >= fault.probability:
            return False
        self.hits += 1
        return True


class FaultBoard:
    """All faults that are planted."""

    def __init__(self) -> None:
        self._planted: list[PlantedFault] = []
        self._next_number = 1

    def add(self, fault: Fault) -> PlantedFault:
        """Plant a fault; return it, to ask for its hits later."""
        planted = PlantedFault(self._next_number, fault)
        self._next_number += 1
        self._planted.append(planted)
        return planted

    def clear(self) -> None:
        """Take every fault away."""
        self._planted.clear()

    def all(self) -> tuple[PlantedFault, ...]:
        """Return the faults that are planted, used up or not."""
        return tuple(self._planted)

    def take(self, method: str, path: str) -> tuple[Fault, ...]:
        """Return what hits this request, in order, nothing after a fault that ends it."""
        taken: list[Fault] = []
        for planted in self._planted:
            if planted.takes(method, path):
                taken.append(planted.fault)
                if planted.fault.kind in TERMINAL:
                    break
        return tuple(taken)


def _pattern(glob: str) -> str:
    pieces = re.split(r"(\*\*|\*)", glob)
    meaning = {"**": ".*", "*": "[^/]*"}
    return "".join(meaning.get(piece, re.escape(piece)) for piece in pieces)
