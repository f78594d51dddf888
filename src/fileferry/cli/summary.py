"""What `status` says of the index, read in one snapshot. Plain dictionaries: they are printed as JSON."""

from __future__ import annotations

from fileferry.cli.text import moment
from fileferry.index import risk
from fileferry.index.identity import shown
from fileferry.index.reader import SKEW
from fileferry.index.rest import REST_KEY, rest_until

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import sqlite3
    from typing import Any

    from fileferry.index.reader import Reader

STATES = ("synced", "pending", "stale", "rejected", "error", "unknown", "ignored", "kept")
PENDING = ("pending", "stale")
FAILED = ("rejected", "error", "unknown")
_PINS = ("unaudited", "endpoint", "account", "halt", "account_halt", REST_KEY)

_FOLDERS = (
    "SELECT folder.id AS id, name, root, attachment, halt, scan_ended_at, entry.state AS state, count(entry.path) AS n,"
    " COALESCE(sum(CASE WHEN entry.state IN ('pending', 'stale') AND absent = 0 THEN size END), 0) AS bytes,"
    " count(CASE WHEN entry.state IN ('pending', 'stale') AND absent = 1 AND hold_id IS NOT NULL THEN 1 END) AS going"
    " FROM folder LEFT JOIN entry ON entry.folder_id = folder.id GROUP BY folder.id, entry.state ORDER BY name"
)
_HOLDS = (
    "SELECT hold.id AS id, folder.name AS folder, hold.kind AS kind, hold.made_at AS made_at, hold.bytes AS bytes,"
    " hold.reason AS reason, (SELECT count(*) FROM entry WHERE entry.hold_id = hold.id) AS files"
    " FROM hold JOIN folder ON folder.id = hold.folder_id WHERE hold.decision IS NULL ORDER BY hold.id"
)
_REMOTE = (
    "SELECT count(CASE WHEN state = 'live' THEN 1 END) AS live, count(CASE WHEN state = 'retiring' THEN 1 END) AS"
    " retiring, count(CASE WHEN state = 'deleting' THEN 1 END) AS deleting,"
    " min(CASE WHEN state IN ('retiring', 'deleting') AND proof = 'proven' THEN delete_at END) AS next_delete,"
    " count(CASE WHEN state = 'live' AND NOT EXISTS (SELECT 1 FROM entry WHERE held_id = remote.content_id) THEN 1 END)"
    " AS without_path FROM remote WHERE state IN ('live', 'retiring', 'deleting')"
)
_BEGUN = (
    "SELECT folder.name AS folder, entry.path AS path, content.size AS bytes, upload.expires_at AS expires_at,"
    " (content.size + part_bytes - 1) / part_bytes AS parts,"
    " (SELECT count(*) FROM part WHERE parcel_id = upload.id) AS parts_sent"
    " FROM upload JOIN content ON content.id = upload.content_id JOIN entry"
    " ON (entry.want_id = content.id OR entry.held_id = content.id)"
    " JOIN folder ON folder.id = entry.folder_id"
    " WHERE upload.state <> 'cancelling' AND upload.expires_at > ? GROUP BY upload.id ORDER BY upload.id"
)
_NEXT_EXPIRY = (
    "SELECT min(expires_at) AS at FROM (SELECT expires_at FROM remote WHERE state = 'live' AND expires_at IS NOT NULL"
    " AND EXISTS (SELECT 1 FROM entry JOIN folder ON folder.id = entry.folder_id WHERE held_id = remote.content_id"
    " AND entry.state NOT IN ('ignored', 'kept') AND attachment = 'active') ORDER BY expires_at LIMIT 1)"
)


def summarize(reader: Reader, now: float) -> dict[str, Any]:
    """Return how things stand in the index.

    Args:
        reader: an open index.
        now: wall seconds.
    """
    _do(reader, "BEGIN")
    try:
        folders = _folders(reader)
        remote = _one(reader, _REMOTE)
        holds = _holds(reader)
        renewal = _one(
            reader, "SELECT min(renew_at) AS at FROM content WHERE renew_at IS NOT NULL"
        )["at"]
        expiry = _one(reader, _NEXT_EXPIRY)["at"]
        skew = _one(reader, f"SELECT {SKEW} AS skew")["skew"]
        server_now = now + skew
        danger = risk.look(reader.rows, server_now)
        begun = list(reader.rows(_BEGUN, (server_now,)))
        pins = {
            row["key"]: row["value"]
            for row in reader.rows("SELECT key, value FROM meta")
            if row["key"] in _PINS
        }
    finally:
        _do(reader, "COMMIT")
    mirrored = [folder for folder in folders if folder["state"] != "detached"]
    files = {state: sum(folder["files"][state] for folder in mirrored) for state in STATES}
    scans = [folder["last_scan"] for folder in mirrored if folder["last_scan"]]
    return {
        "files": files,
        "in_sync": files["synced"],
        # What is gone and held waits for a person, not for us.
        "pending": sum(files[state] for state in PENDING)
        - sum(folder.pop("going") for folder in mirrored),
        "failed": sum(files[state] for state in FAILED),
        "bytes_pending": sum(folder.pop("bytes_pending") for folder in folders),
        "held_deletes": sum(hold["files"] for hold in holds if hold["kind"] == "delete"),
        "held_uploads": sum(hold["files"] for hold in holds if hold["kind"] == "upload"),
        "next_renewal": moment(renewal),
        "next_expiry": moment(expiry),
        "min_seconds_to_expiry": None if expiry is None else round(expiry - server_now),
        "at_risk": None
        if danger is None
        else {
            "ids": danger.ids,
            "next_expiry": moment(danger.expires_at),
            "seconds": round(danger.expires_at - server_now),
            "path": danger.path,
            "reason": danger.reason,
        },
        "begun": [
            {
                "path": f"{row['folder']}:{shown(row['path'])}",
                "bytes": row["bytes"],
                "parts": row["parts"],
                "parts_sent": row["parts_sent"],
                "upload_expires_at": moment(row["expires_at"]),
            }
            for row in begun
        ],
        "next_delete": moment(remote["next_delete"]),
        "last_scan": max(scans, default=None),
        "remote": {
            "endpoint": pins.get("endpoint"),
            "account": pins.get("account"),
            "halt": pins.get("halt") or pins.get("account_halt"),
            "unaudited": "unaudited" in pins,
            "clock_skew_seconds": round(skew, 1),
            "rest_until": moment(rest_until(pins.get(REST_KEY), now)),
            "live": remote["live"],
            "retiring": remote["retiring"],
            "deleting": remote["deleting"],
            "without_path": remote["without_path"],
        },
        "folders": folders,
        "holds": holds,
        "index": reader.path,
    }


def _folders(reader: Reader) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in reader.rows(_FOLDERS):
        folder = found.get(row["id"])
        if folder is None:
            state = row["attachment"]
            folder = found[row["id"]] = {
                "name": row["name"],
                "root": shown(row["root"]),
                "state": "halted" if row["halt"] and state == "active" else state,
                "halt": row["halt"],
                "files": dict.fromkeys(STATES, 0),
                "last_scan": moment(row["scan_ended_at"]),
                "bytes_pending": 0,
                "going": 0,
            }
        if row["state"] is not None:
            folder["files"][row["state"]] = row["n"]
            folder["bytes_pending"] += row["bytes"]
            folder["going"] += row["going"]
    return list(found.values())


def _holds(reader: Reader) -> list[dict[str, Any]]:
    return [
        {
            "hold": f"{row['kind'][0].upper()}{row['id']}",
            "folder": row["folder"],
            "kind": row["kind"],
            "files": row["files"],
            "bytes": row["bytes"],
            "made_at": moment(row["made_at"]),
            "reason": row["reason"],
        }
        for row in reader.rows(_HOLDS)
        if row["files"]
    ]


def _one(reader: Reader, sql: str) -> sqlite3.Row:
    return next(reader.rows(sql))


def _do(reader: Reader, sql: str) -> None:
    for _ in reader.rows(sql):
        pass
