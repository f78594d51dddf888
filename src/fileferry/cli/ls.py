"""`fileferry ls`: what is in the index, streamed, however much it is."""

from __future__ import annotations

import time

from fileferry.cli.text import moment, place
from fileferry.errors import UnknownPath
from fileferry.index.identity import shown
from fileferry.index.reader import answer

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    import sqlite3
    from collections.abc import Generator

    from fileferry.cli.context import Context
    from fileferry.index.reader import Reader

_WILD = frozenset("*?[")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `ls`."""
    parser.add_argument(
        "patterns",
        metavar="PATTERN",
        nargs="*",
        help="a folder, a path as for `id`, or a glob such as '*.pdf' or 'FOLDER:2024/*', where * crosses"
        " slashes; without one, everything",
    )
    parser.add_argument(
        "-l", "--long", action="store_true", help="add state, size, expiry and id before the path"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """List what is known, in the order of folders and paths."""
    now = time.time()  # noqa: TID251 - the clock module costs an asyncio
    with context.reader(arguments.config) as reader:
        for pattern in arguments.patterns or [""]:
            found = False
            rows = _select(reader, pattern, context.cwd)
            try:
                for row in rows:
                    found = True
                    _print(row, arguments, context, now)
            finally:
                rows.close()  # before the index, even when nobody reads on
            if pattern and not found:
                raise UnknownPath(
                    f"nothing in the index matches `{pattern}`",
                    hint="a PATTERN is FOLDER, FOLDER:path, a path, or a glob in quotes",
                )
    return 0


def _select(reader: Reader, pattern: str, cwd: str) -> Generator[sqlite3.Row, None, None]:
    if not pattern:
        for folder_id, _ in _folders(reader):
            yield from reader.below(folder_id)
        return
    found = False
    if _WILD & set(pattern):
        for row in _glob(reader, pattern):
            found = True
            yield row
    if not found:  # a name may have brackets in it
        yield from _prefix(reader, pattern, cwd)


def _folders(reader: Reader) -> list[tuple[int, str]]:
    return [
        (row["id"], row["name"]) for row in reader.rows("SELECT id, name FROM folder ORDER BY name")
    ]


def _prefix(reader: Reader, pattern: str, cwd: str) -> Generator[sqlite3.Row, None, None]:
    """Give what is at or below a path; a folder's name, and a path relative to any folder, will do."""
    names = {name: folder_id for folder_id, name in _folders(reader)}
    if pattern in names:
        yield from reader.below(names[pattern])
        return
    found = False
    try:
        folder_id, path = reader.locate(pattern, cwd)
    except UnknownPath:
        pass
    else:
        for row in reader.below(folder_id, path):
            found = True
            yield row
    if not found and not pattern.startswith(("/", "~")):
        import os

        path = os.fsencode(os.path.normpath(pattern))
        for folder_id in names.values():
            yield from reader.below(folder_id, path)


def _glob(reader: Reader, pattern: str) -> Generator[sqlite3.Row, None, None]:
    import fnmatch
    import os
    import re

    matches = re.compile(os.fsencode(fnmatch.translate(os.path.expanduser(pattern)))).match
    absolute = pattern.startswith(("/", "~"))
    named = ":" in pattern
    for folder_id, name in _folders(reader):
        prefix = name.encode() + b":"
        for row in reader.below(folder_id):
            path = row["path"]
            if absolute:
                path = row["root"].rstrip(b"/") + b"/" + path
            if matches(path) or (named and matches(prefix + path)):
                yield row


def _print(row: sqlite3.Row, arguments: argparse.Namespace, context: Context, now: float) -> None:
    file_id = answer(row, now)
    expires_at = moment(row["expires_at"]) if file_id else None
    if arguments.json:
        context.json(
            {
                "folder": row["folder"],
                "root": shown(row["root"]),
                "path": shown(row["path"]),
                "file_id": file_id,
                "state": row["state"],
                "digest": row["digest"],
                "size": row["held_size"],
                "purpose": row["purpose"],
                "remote_name": row["remote_name"] if file_id else None,
                "expires_at": expires_at,
                "error": row["error"],
            }
        )
        return
    where = place(row["folder"], row["path"])
    if arguments.long:
        size = row["size"] if row["held_size"] is None else row["held_size"]
        where = (
            f"{row['state']:<8} {size:>13,} {expires_at or '-':<20} {file_id or '-':<29} {where}"
        )
    context.say(where)
