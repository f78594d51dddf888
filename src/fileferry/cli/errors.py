"""`fileferry errors` and `retry`: what could not be done and why, and to try it again."""

from __future__ import annotations

import time

from fileferry.cli.text import count, moment, place, safe
from fileferry.index.identity import shown
from fileferry.index.rest import REST_KEY, rest_until

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    import sqlite3

    from fileferry.cli.context import Context

_ERRORS = (
    "SELECT folder.name AS folder, folder.root AS root, entry.path AS path, entry.state AS state,"
    " COALESCE(entry.error, want.error) AS error, COALESCE(entry.due_at, want.due_at) AS due_at"
    " FROM entry JOIN folder ON folder.id = entry.folder_id LEFT JOIN content AS want ON want.id = entry.want_id"
    " WHERE entry.state <> 'synced' AND entry.hold_id IS NULL"
    " AND (entry.state IN ('error', 'rejected', 'unknown') OR want.error IS NOT NULL)"
    " ORDER BY folder.name, entry.path"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `errors` and `retry`; the parser knows which one it is for."""
    if parser.prog.endswith("retry"):
        parser.add_argument(
            "paths",
            metavar="PATH",
            nargs="*",
            help="only these, and what is below them; one that was discarded from a held upload is sent",
        )
        parser.add_argument("--json", action="store_true", help="print how many as JSON")
        return
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """List what could not be done, or have it tried again."""
    return _retry(arguments, context) if arguments.command == "retry" else _list(arguments, context)


def _list(arguments: argparse.Namespace, context: Context) -> int:
    found = False
    with context.reader(arguments.config) as reader:
        now = time.time()  # noqa: TID251 - the clock module costs an asyncio
        noted = next(reader.rows("SELECT value FROM meta WHERE key = ?", (REST_KEY,)), None)
        rest = rest_until(None if noted is None else noted["value"], now) or 0.0
        for row in reader.rows(_ERRORS):
            found = True
            _print(row, _next_try(row["due_at"], rest, now), arguments, context)
    if not found and not arguments.json:
        context.talk("no errors")
    return 0


def _next_try(due_at: float | None, rest: float, now: float) -> str | None:
    """Say when it is tried again; not a moment that is over: then it waits for something else."""
    at = 0.0 if due_at is None else max(due_at, rest)
    return moment(at) if at > now else None


def _print(
    row: sqlite3.Row, again: str | None, arguments: argparse.Namespace, context: Context
) -> None:
    reason = row["error"] or "no reason was recorded"
    if arguments.json:
        context.json(
            {
                "folder": row["folder"],
                "root": shown(row["root"]),
                "path": shown(row["path"]),
                "state": row["state"],
                "error": reason,
                "next_try": again,
            }
        )
        return
    when = f" (next try {again})" if again else ""
    context.say(f"{row['state']:<8} {place(row['folder'], row['path'])}: {safe(reason)}{when}")


def _retry(arguments: argparse.Namespace, context: Context) -> int:
    from base64 import b64encode

    from fileferry.cli.perform import perform

    with context.reader(arguments.config) as reader:
        places = [reader.locate(text, context.cwd) for text in arguments.paths]
    wanted = [[folder_id, b64encode(path).decode()] for folder_id, path in places]
    result = perform(context, arguments.config, "retry", {"paths": wanted})
    if arguments.json:
        context.json(result)
        return 0
    if result.get("rested"):
        context.say("the API had asked for a rest, which is over now")
    elif not result["files"]:
        context.talk("there is nothing to try again")
        return 0
    if result["files"]:
        context.say(f"{count(result['files'], 'file')} will be tried again")
    if not result["daemon"]:
        context.talk("next: `fileferry sync`")
    return 0
