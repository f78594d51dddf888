"""What a listing says of an upload whose answer was lost.

A listing proves nothing about what is younger than its first page, and a file may be missing from listings for a
while after it was made. So: found is found; missing needs two listings, the second `list_lag` after the answer
was given up.

Names come back as they were sent, but for what looks escaped: the form of an upload writes `"` as `%22`, line ends as
`%0D` and `%0A`, and servers differ in what they read back. (HTML, "multipart/form-data encoding algorithm".) A name
on the disk may well have such a `%0A` of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.model import Proof, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Iterable

CLOCK_SECONDS = 30.0  # how far the estimate of the server's clock may be off
GRAIN_SECONDS = 2.0  # servers tell their time in whole seconds
ENOUGH_ABSENCES = 2
LONGEST_CALL_SECONDS = (
    4_500.0  # the hour that an upload in parts may take, and time to make a file of them
)
_ESCAPED = re.compile("%(22|[01][0-9A-Fa-f])")


@dataclass(frozen=True, slots=True)
class Found:
    """The file is there."""

    file: RemoteFile
    proof: Proof


@dataclass(frozen=True, slots=True)
class Missing:
    """It was not shown. `final`: and will not be, so that the upload may be begun again."""

    final: bool


def heard(name: str) -> str:
    """Return a name as it is compared, whichever way its quotes and what looks like control characters came back."""
    return _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), name)


def settle(
    candidates: Iterable[RemoteFile],
    *,
    opened_at: float,
    ended_at: float,
    listed_at: float,
    expires_seconds: int | None,
    absences: int,
    list_lag_seconds: float,
) -> Found | Missing:
    """Decide about one intent. Times are server seconds, as far as known: a clock of ours may have been set.

    Args:
        candidates: files of the listing with its name, size and purpose that no other record claims.
        opened_at: when the upload began.
        ended_at: when it was over at the latest.
        listed_at: when the listing began.
        expires_seconds: the life that was sent, nonce and all, or None.
        absences: how many listings missed it before this one.
        list_lag_seconds: how long a new file may be missing from listings.
    """
    young = [file for file in candidates if file.created_at >= opened_at - CLOCK_SECONDS]
    if expires_seconds is not None:
        for file in young:
            if file.expires_at is not None and file.expires_at - file.created_at == expires_seconds:
                return Found(file, Proof.PROVEN)
    else:
        # Nothing but name, size and time speak for it: a file that was made after our call was over is another's.
        eternal = [
            file
            for file in young
            if (file.expires_at is None or file.purpose == "batch")
            and file.created_at <= ended_at + CLOCK_SECONDS
        ]
        if eternal:
            return Found(min(eternal, key=lambda file: file.created_at), Proof.MATCHED)
    late_enough = listed_at >= shown_at(ended_at, list_lag_seconds)
    return Missing(final=late_enough and absences + 1 >= ENOUGH_ABSENCES)


def ended_at(*, opened_at: float, begun_at: float, unknown_at: float) -> float:
    """Return when an upload was over at the latest, in server seconds.

    Args:
        opened_at: when it began, server seconds.
        begun_at: when it began, wall seconds.
        unknown_at: when its answer was given up, wall seconds. A clock that was set meanwhile cannot tell.
    """
    lasted = unknown_at - begun_at
    return opened_at + (
        min(lasted, LONGEST_CALL_SECONDS) if lasted >= 0.0 else LONGEST_CALL_SECONDS
    )


def shown_at(ended_at: float, list_lag_seconds: float) -> float:
    """Return from when on a listing shows what an upload made, if it made anything; all in server seconds."""
    return ended_at + list_lag_seconds + GRAIN_SECONDS
