"""`fileferry id`: the command that scripts call; everything here is about starting quickly."""

from __future__ import annotations

import time

from fileferry.cli.text import safe
from fileferry.errors import NotInSync, UnknownPath
from fileferry.index.reader import answer

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse
    import sqlite3

    from fileferry.cli.context import Context
    from fileferry.index.reader import Reader

NOT_YET, REJECTED, UNKNOWN = 6, 3, 4
_WORST = (UNKNOWN, REJECTED, NOT_YET)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `id`."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a path, or FOLDER:relative/path")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        nargs="?",
        type=float,
        const=300.0,
        help="wait until the path as it is now has an id (300 s when no number is given)",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="answer only when the id holds the bytes that are there now",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print an id a line, in the order asked; an empty line for a path without one."""
    waited_in_vain = False
    if arguments.wait is not None:
        from fileferry.cli.wait import wait_for

        try:
            wait_for(
                arguments.config, context, arguments.paths, timeout=arguments.wait, final_ok=True
            )
        except NotInSync as error:
            # What is known is printed all the same, each id on its line.
            context.complain(error)
            waited_in_vain = True
    with context.reader(arguments.config) as reader:
        codes = [_print(reader, path, arguments, context) for path in arguments.paths]
    if waited_in_vain:
        codes.append(NOT_YET)
    return next((code for code in _WORST if code in codes), 0)


def _print(reader: Reader, text: str, arguments: argparse.Namespace, context: Context) -> int:
    try:
        folder_id, path = reader.locate(text, context.cwd)
        row = reader.entry(folder_id, path)
        if row is None:
            raise UnknownPath(f"`{text}` is not in the index", hint=_hint(reader, folder_id, path))
    except UnknownPath as error:
        return _report(context, arguments, text, None, None, UNKNOWN, error.message, error.hint)
    file_id = answer(row, time.time())  # noqa: TID251 - the clock module costs an asyncio
    code, why = verdict(row, file_id)
    if file_id is not None and arguments.fresh:
        from fileferry.daemon.fresh import is_fresh

        if not is_fresh(row):
            file_id = None
            if not code:
                code, why = NOT_YET, _stale_because(row)
    return _report(context, arguments, text, row, file_id, code, why, None)


def _stale_because(row: sqlite3.Row) -> str:
    if row["state"] == "unknown" and row["error"]:
        return str(row["error"])
    return "the id holds an older version than the one on disk"


def verdict(row: sqlite3.Row, file_id: str | None) -> tuple[int, str | None]:
    """Return the exit code for an entry whose printable id is `file_id`, and why it is not 0."""
    state = row["state"]
    if state == "ignored":
        return UNKNOWN, "it is ignored (`fileferry check-ignore` names the rule)"
    if state == "rejected":
        return REJECTED, f"it is rejected: {row['error']}"
    if file_id is not None:
        return 0, None
    if row["unaudited"]:
        return NOT_YET, "the index was restored or moved, and waits for an audit (`fileferry sync`)"
    if state == "kept":
        return REJECTED, "it was discarded from a held upload; `fileferry retry` sends it"
    return NOT_YET, row["error"] or "it has no id yet"


def _report(
    context: Context,
    arguments: argparse.Namespace,
    text: str,
    row: sqlite3.Row | None,
    file_id: str | None,
    code: int,
    why: str | None,
    hint: str | None,
) -> int:
    if arguments.json:
        context.json(
            {
                "path": safe(display(text)),
                "file_id": file_id,
                "state": None if row is None else row["state"],
                "digest": None if row is None or file_id is None else row["digest"],
                "exit_code": code,
                "error": why,
            }
        )
        return code
    context.say(file_id or "")
    if why is not None:
        context.talk(f"{text}: {why}")
    if hint is not None:
        context.talk(f"hint: {hint}")
    return code


def display(text: str) -> str:
    """Return an argument as text that every JSON parser takes: odd bytes as hex digits."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _hint(reader: Reader, folder_id: int, path: bytes) -> str | None:
    if next(reader.below(folder_id, path), None) is not None:
        return "it is a directory: `fileferry ls` lists what is in it"
    return "is it ignored? `fileferry check-ignore`; is it new? `fileferry sync`, or `--wait`"
