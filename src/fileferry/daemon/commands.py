"""What changes the index because somebody asked: one function for each command.

The daemon calls them for its control socket, and the command line calls the same ones when no daemon runs. Each is
given a connection inside a transaction, arguments as JSON has them, and wall seconds; it returns what JSON can hold.
None calls the API: ids are retired, and the next pass deletes them.

Paths travel as `[folder_id, base64 of the bytes]`, folder_id null for every folder.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fileferry.daemon import custody, mending
from fileferry.daemon.audit import AUDITED_KEY, HALT_ACCEPTED_KEY
from fileferry.daemon.contact import ACCOUNT_KEY
from fileferry.daemon.enlist import ACCOUNT_HALT_KEY, ENDPOINT_KEY, HALT_KEY
from fileferry.daemon.ways import forget_refusals
from fileferry.errors import FerryError, UnknownPath, UsageError
from fileferry.index import ending, entries, folders, holds, wants
from fileferry.index.rest import REST_KEY, rest_until

if TYPE_CHECKING:
    import sqlite3

    from fileferry.index.folders import FolderRow
    from fileferry.index.holds import Hold

Command = Callable[["sqlite3.Connection", Mapping[str, Any], float], dict[str, Any]]

_ROOT_QUESTIONS = ("emptied", "replaced")


def approve(db: sqlite3.Connection, arguments: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Release a hold, or all: `{hold}` -> `{holds: [{hold, folder, kind, files}], files}`."""
    return _decide(db, arguments, lambda hold_id: holds.approve(db, hold_id, now=now))


def discard(db: sqlite3.Connection, arguments: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Keep what a hold holds for good: as `approve`."""
    return _decide(db, arguments, lambda hold_id: holds.discard(db, hold_id, now=now))


def accept(db: sqlite3.Connection, arguments: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Answer the question of a halt: `{what: remote | index | root, …}`."""
    what = arguments.get("what")
    if what == "remote":
        return _accept_remote(db, arguments, now)
    if what == "root":
        return _accept_root(db, arguments.get("folder"))
    if what == "index":
        return {"what": "index", "accepted": custody.accept(db)}
    raise UsageError(f"`{what}` is nothing that can be accepted: `remote`, `index` or `root`")


def forget(db: sqlite3.Connection, arguments: Mapping[str, Any], now: float) -> dict[str, Any]:
    """End a detached folder: `{folder, delete}` -> `{folder, paths, deletes, unproven, shared, left}`.

    Raises:
        UnknownPath: the index knows no such folder.
        FerryError: it is still in the configuration.
    """
    row = _folder(db, str(arguments["folder"]))
    if row.attachment == "active":
        raise FerryError(
            f"folder `{row.name}` is still in the configuration",
            hint="take its `[[folder]]` out first, and reload the daemon if one runs",
        )
    ended = ending.end_folder(db, row.folder_id, now=now, delete=bool(arguments.get("delete")))
    return {"folder": row.name, **asdict(ended)}


def purge(db: sqlite3.Connection, _arguments: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Retire everything: `{}` -> `{paths, deletes, unproven, shared, left, active}`."""
    ended = ending.end_everything(db, now=now)
    active = [row.name for row in folders.all_rows(db)]
    return {**asdict(ended), "active": active}


def prune_ignored(
    db: sqlite3.Connection, _arguments: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """Retire what only ignored paths point at: `{}` -> `{paths, deletes, unproven, shared, left}`."""
    return asdict(ending.end_ignored(db, now=now))


def retry(db: sqlite3.Connection, arguments: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Try again what could not be done: `{paths: [[folder_id | null, base64], …]}`, [] for all -> `{files, rested}`.

    A path that is named and was discarded from a held upload is sent after all. Purposes that the API took no parts
    for are asked for again; and so is the API where it wanted to be left alone for a while.
    """
    forget_refusals(db)
    rested = _end_rest(db, now)
    places = [_place(place) for place in arguments.get("paths", ())]
    if not places:
        return {"files": entries.retry(db, None, None, now=now), "rested": rested}
    files = 0
    for folder_id, path in places:
        files += entries.retry(db, folder_id, path, now=now)
        if folder_id is not None:
            files += _take_up(db, folder_id, path, now)
    return {"files": files, "rested": rested}


COMMANDS: Mapping[str, Command] = {
    "approve": approve,
    "discard": discard,
    "accept": accept,
    "forget": forget,
    "purge": purge,
    "prune-ignored": prune_ignored,
    "retry": retry,
    "repair": mending.repair,
    "delete-orphans": mending.delete_orphans,
}


def _decide(
    db: sqlite3.Connection, arguments: Mapping[str, Any], decide: Callable[[int], int]
) -> dict[str, Any]:
    chosen = _holds(db, arguments.get("hold"))
    decided = [
        {
            "hold": hold.name,
            "folder": hold.folder,
            "kind": hold.kind,
            "files": decide(hold.hold_id),
        }
        for hold in chosen
    ]
    return {"holds": decided, "files": sum(hold.files for hold in chosen)}


def _holds(db: sqlite3.Connection, name: str | None) -> list[Hold]:
    undecided = holds.undecided(db)
    if name is None:
        return undecided
    chosen = [hold for hold in undecided if hold.name == name.strip().upper()]
    if not chosen:
        names = ", ".join(f"`{hold.name}`" for hold in undecided)
        raise UnknownPath(
            f"nothing is held as `{name}`",
            hint=f"held are {names}" if names else "nothing at all is held",
        )
    return chosen


def _accept_remote(
    db: sqlite3.Connection, arguments: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """Accept another remote: `{endpoint, account}`, as they are now; account null where nobody knows.

    Where the endpoint or the account really is another one, every id is written off and sent again. Where only an
    audit halted, the next audit may call lost what it does not find.
    """
    pinned_endpoint = folders.meta(db, ENDPOINT_KEY)
    pinned_account = folders.meta(db, ACCOUNT_KEY)
    endpoint, account = arguments.get("endpoint"), arguments.get("account")
    halt = folders.meta(db, HALT_KEY)
    changed = _differ(pinned_endpoint, endpoint) or _differ(pinned_account, account)
    lost = ending.write_off(db, now=now) if changed else 0
    if changed or (account is None and halt is None):
        # Nobody could say whose the key is: it is asked anew, and an audit halts if the ids are not there.
        folders.set_meta(db, ENDPOINT_KEY, endpoint)
        folders.set_meta(db, ACCOUNT_KEY, account)
    if changed:
        folders.set_meta(db, AUDITED_KEY, None)
    elif halt is not None:
        folders.set_meta(db, HALT_ACCEPTED_KEY, "1")
    folders.set_meta(db, HALT_KEY, None)
    folders.set_meta(db, ACCOUNT_HALT_KEY, None)
    return {
        "what": "remote",
        "changed": changed,
        "lost": lost,
        "halt": halt,
        "before": ", account ".join(part for part in (pinned_endpoint, pinned_account) if part),
    }


def _differ(pinned: str | None, here: str | None) -> bool:
    return bool(pinned and here and pinned != here)


def _accept_root(db: sqlite3.Connection, name: str | None) -> dict[str, Any]:
    rows = folders.all_rows(db) if name is None else [_folder(db, name)]
    asking = [row for row in rows if row.halt and row.halt.startswith(_ROOT_QUESTIONS)]
    if name is not None and not asking and rows[0].halt:
        raise FerryError(
            f"folder `{name}` does not ask: {rows[0].halt}",
            hint="bring the directory back, or take the folder out of the configuration",
        )
    for row in asking:
        folders.set_identity(db, row.folder_id, None)
        folders.set_halt(db, row.folder_id, None)
    return {"what": "root", "accepted": [row.name for row in asking]}


def _folder(db: sqlite3.Connection, name: str) -> FolderRow:
    rows = folders.all_rows(db)
    root = os.fsencode(name).rstrip(b"/")
    for row in rows:
        if row.name == name or (root and row.root.rstrip(b"/") == root):
            return row
    names = ", ".join(f"`{row.name}`" for row in rows) or "none"
    raise UnknownPath(f"the index knows no folder `{name}`", hint=f"it knows {names}")


def _place(place: Any) -> tuple[int | None, bytes]:
    try:
        folder_id, text = place
        return None if folder_id is None else int(folder_id), base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise UsageError("a path is sent as `[folder_id, base64]`") from error


def _end_rest(db: sqlite3.Connection, now: float) -> bool:
    """Forget that the API asked for no request for a while, and make due what was put off; say whether it had."""
    if rest_until(folders.meta(db, REST_KEY), now) is None:
        return False
    folders.set_meta(db, REST_KEY, None)
    wants.hurry(db, now=now)
    return True


def _take_up(db: sqlite3.Connection, folder_id: int, path: bytes, now: float) -> int:
    """Have what was discarded from a held upload read and sent."""
    low, high = entries.span(path)
    cursor = db.execute(
        "UPDATE entry SET state = 'pending', due_at = ?, approved = 1 WHERE folder_id = ? AND state = 'kept'"
        " AND held_id IS NULL AND absent = 0 AND (path = ? OR (path >= ? AND path < ?))",
        (now, folder_id, path, low, high),
    )
    return int(cursor.rowcount)
