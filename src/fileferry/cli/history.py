"""`fileferry history`: the log of id changes, and what is added to it."""

from __future__ import annotations

import time

from fileferry.cli.text import moment, name, safe
from fileferry.errors import UnknownPath
from fileferry.index.identity import shown

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    import sqlite3

    from fileferry.cli.context import Context
    from fileferry.index.reader import Reader

POLL_SECONDS = 1.0
_CHANGES = (
    "SELECT seq, at, folder.name AS folder, path, event, old_file_id, new_file_id FROM change_log"
    " LEFT JOIN folder ON folder.id = change_log.folder_id WHERE seq > :after"
)
_AT = " AND folder_id = :folder_id AND (path = :path OR (path >= :low AND path < :high))"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `history`."""
    parser.add_argument(
        "path", metavar="PATH", nargs="?", help="only this path, and what is below it"
    )
    parser.add_argument(
        "-n",
        "--limit",
        type=_limit,
        default=50,
        metavar="N",
        help="the last N changes (%(default)s); 0 for all of them, unless --follow",
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on printing changes until interrupted"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print changes, the oldest first."""
    with context.reader(arguments.config) as reader:
        where, values = "", {}
        if arguments.path is not None:
            folder_id, path = reader.locate(arguments.path, context.cwd)
            if path:
                low, high = path + b"/", path + b"0"
            else:
                low, high = b"", b"\xff" * 8
            where = _AT
            values = {"folder_id": folder_id, "path": path, "low": low, "high": high}
        # Read before the changes: what comes between the two is printed twice at worst, never missed.
        last = next(reader.rows("SELECT COALESCE(max(seq), 0) FROM change_log"))[0]
        rows = _last(reader, where, values, arguments)
        if not rows and arguments.path is not None and not _is_known(reader, values):
            raise UnknownPath(f"`{arguments.path}` is not in the index, and never was")
        for row in rows:
            _print(row, arguments, context)
            last = max(last, row["seq"])
        while arguments.follow:
            context.out.flush()
            time.sleep(POLL_SECONDS)
            for row in reader.rows(f"{_CHANGES}{where} ORDER BY seq", {"after": last, **values}):
                _print(row, arguments, context)
                last = row["seq"]
    return 0


def _last(
    reader: Reader, where: str, values: dict[str, object], arguments: argparse.Namespace
) -> list[sqlite3.Row]:
    if arguments.follow and not arguments.limit:
        return []
    limit = f" LIMIT {arguments.limit}" if arguments.limit else ""
    rows = list(reader.rows(f"{_CHANGES}{where} ORDER BY seq DESC{limit}", {"after": 0, **values}))
    return rows[::-1]


def _is_known(reader: Reader, values: dict[str, object]) -> bool:
    query = "SELECT 1 FROM entry WHERE folder_id = :folder_id AND (path = :path OR (path >= :low AND path < :high))"
    return next(reader.rows(f"{query} LIMIT 1", values), None) is not None


def _print(row: sqlite3.Row, arguments: argparse.Namespace, context: Context) -> None:
    if arguments.json:
        context.json(
            {
                "seq": row["seq"],
                "at": moment(row["at"]),
                "folder": row["folder"],
                "path": shown(row["path"]),
                "event": row["event"],
                "old_file_id": row["old_file_id"],
                "new_file_id": row["new_file_id"],
            }
        )
        return
    ids = " -> ".join(one or "-" for one in (row["old_file_id"], row["new_file_id"]))
    where = f"{safe(row['folder'] or '(forgotten)')}:{name(row['path'])}"
    context.say(f"{moment(row['at'])} {row['event']:<8} {where}  {ids}")


def _limit(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number
