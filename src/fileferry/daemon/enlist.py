"""Bring the index in line with the configuration: which folders are mirrored, under which names and rules.

Nothing here deletes anything: a folder that left the configuration is detached, a root under a new name is renamed,
and a folder inside another takes the entries of its subtree with it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fileferry.daemon.mirror import Mirror
from fileferry.errors import Held
from fileferry.ignore.rules import Rules
from fileferry.index import folders, remotes
from fileferry.plan import rules as sending_rules

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from fileferry.model import Folder, RemoteSettings

ENDPOINT_KEY = "endpoint"
HALT_KEY = "halt"
ACCOUNT_HALT_KEY = "account_halt"  # what `status` says; a greeting finds it out anew
_ELSEWHERE = "the index belongs to"


def enlist(db: sqlite3.Connection, wanted: Sequence[Folder], *, now: float) -> dict[int, Mirror]:
    """Make, rename, attach and detach folders; return those to work on by the id of their row."""
    rows = {row.root: row for row in folders.all_rows(db)}
    roots = {folder.root for folder in wanted}
    for row in rows.values():
        if row.root not in roots and row.attachment == "active":
            folders.detach(db, row.folder_id)
    ids: dict[bytes, int] = {}
    for folder in wanted:
        known = rows.get(folder.root)
        if known is None:
            ids[folder.root] = folders.add(db, name=folder.name, root=folder.root)
        else:
            ids[folder.root] = known.folder_id
            if known.name != folder.name or known.attachment != "active":
                folders.attach(db, known.folder_id, name=folder.name)
        folders.set_delays(
            db,
            ids[folder.root],
            retire_seconds=folder.retire_delay_seconds,
            delete_seconds=folder.delete_delay_seconds,
        )
    mirrors: dict[int, Mirror] = {}
    for folder in wanted:
        foreign = _inside(folder.root, roots)
        folder_id = ids[folder.root]
        for relative in foreign:
            inner = ids[folder.root.rstrip(b"/") + b"/" + relative]
            folders.move_entries(db, source_id=folder_id, target_id=inner, prefix=relative + b"/")
        mirrors[folder_id] = mirror_of(folder, folder_id, roots)
    for mirror in mirrors.values():
        _apply_rules(db, mirror, now=now)
    return mirrors


def mirror_of(folder: Folder, folder_id: int, roots: set[bytes]) -> Mirror:
    """Return a folder as it is worked on; `roots` are those of all folders, itself included."""
    ignore = Rules(folder.ignore, default_ignore=folder.default_ignore)
    return Mirror(folder_id, folder, ignore, _inside(folder.root, roots))


def note_rules_files(
    db: sqlite3.Connection, mirror: Mirror, rules_files: Sequence[tuple[bytes, bytes]]
) -> None:
    """Notice changed `.ferryignore` files: what they uncover has to pass the upload budget again."""
    row = _row(db, mirror.folder_id)
    seen = mirror.rules.fingerprint(rules_files)
    if row.ignore_rules != seen:
        folders.set_rules(db, mirror.folder_id, policy=row.policy, ignore_rules=seen)


def halt_elsewhere(db: sqlite3.Connection, remote: RemoteSettings) -> None:
    """Pin the endpoint, or note the halt that another one means: the engine then looks, and does nothing."""
    folders.set_meta(db, ACCOUNT_HALT_KEY, None)
    halt = folders.meta(db, HALT_KEY)
    try:
        pin_endpoint(db, remote)
    except Held as error:
        folders.set_meta(db, HALT_KEY, error.message)
    else:
        if halt is not None and halt.startswith(_ELSEWHERE):
            folders.set_meta(db, HALT_KEY, None)


def pin_endpoint(db: sqlite3.Connection, remote: RemoteSettings) -> None:
    """Pin the endpoint, organization and project that the ids of this index belong to.

    Raises:
        Held: they are other ones than before; nothing may be sent or deleted until `accept remote`.
    """
    here = endpoint_text(remote)
    pinned = pinned_to(db, ENDPOINT_KEY)
    if pinned is None:
        folders.set_meta(db, ENDPOINT_KEY, here)
    elif pinned != here:
        raise Held(
            f"{_ELSEWHERE} {pinned}, and the configuration names {here}",
            hint="`fileferry accept remote` if that was meant: everything is sent again there",
        )


def pinned_to(db: sqlite3.Connection, key: str) -> str | None:
    """Return the endpoint or the account that the ids of an index belong to; None while it never had one."""
    return folders.meta(db, key) if remotes.may_exist(db) else None


def endpoint_text(remote: RemoteSettings) -> str:
    """Return how an endpoint is pinned and shown."""
    parts = [remote.base_url.rstrip("/")]
    if remote.organization:
        parts.append(f"organization {remote.organization}")
    if remote.project:
        parts.append(f"project {remote.project}")
    return ", ".join(parts)


def _apply_rules(db: sqlite3.Connection, mirror: Mirror, *, now: float) -> None:
    row = _row(db, mirror.folder_id)
    text = sending_rules.fingerprint_text(mirror.folder)
    policy = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    if row.policy == policy:
        return
    folders.set_rules(db, mirror.folder_id, policy=policy, ignore_rules=row.ignore_rules)
    if row.policy:
        folders.plan_anew(db, mirror.folder_id, now=now)


def _row(db: sqlite3.Connection, folder_id: int) -> folders.FolderRow:
    return next(row for row in folders.all_rows(db) if row.folder_id == folder_id)


def _inside(root: bytes, roots: set[bytes]) -> frozenset[bytes]:
    prefix = root.rstrip(b"/") + b"/"
    return frozenset(other[len(prefix) :] for other in roots if other.startswith(prefix))
