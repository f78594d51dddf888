"""Which remote files a new index may take for its own: those that only one of its contents can have been sent as.

Name, size and purpose have to agree with exactly one content. Bytes of the same length may have been there before,
so the path has to be older than the remote file: what was sent from it is then what is there now. A name with the
digest in it needs no such proof. Whose a file is, nobody can tell: what is taken is `matched`, and never deleted
by itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileferry.plan.settlement import heard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fileferry.model import RemoteFile

GRAIN_SECONDS = 1.0  # `created_at` is cut to whole seconds
LEAST_LIFE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A name that a content may have been sent under.

    Args:
        content_id: the content.
        name, size, purpose: as they would be sent.
        since: server seconds since when a path with that name has had these bytes; None: the name proves them.
        wanted: the content has no remote file yet.
    """

    content_id: int
    name: str
    size: int
    purpose: str
    since: float | None
    wanted: bool


def adopt(
    claims: Iterable[Claim], files: Iterable[RemoteFile], *, server_now: float
) -> dict[int, RemoteFile]:
    """Return the remote file that each content may take; the youngest, where several are alike.

    Args:
        claims: of all contents, those that have a remote file too.
        files: of the listing, without those that the index knows.
        server_now: server seconds.
    """
    by_kind: dict[tuple[str, int | None, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_kind[(heard(claim.name), claim.size, claim.purpose)].append(claim)
    taken: dict[int, RemoteFile] = {}
    for file in sorted(files, key=lambda file: (file.created_at, file.file_id)):
        alike = by_kind.get((heard(file.name), file.size, file.purpose), [])
        if len({claim.content_id for claim in alike}) != 1 or not alike[0].wanted:
            continue
        if file.expires_at is not None and file.expires_at <= server_now + LEAST_LIFE_SECONDS:
            continue
        if any(
            claim.since is None or claim.since < file.created_at + GRAIN_SECONDS for claim in alike
        ):
            taken[alike[0].content_id] = file
    return taken
