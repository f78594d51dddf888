"""`fileferry input`: paths as the content parts of a Responses request."""

from __future__ import annotations

import time

from fileferry.cli.ids import UNKNOWN, verdict
from fileferry.cli.text import safe
from fileferry.errors import UnknownPath
from fileferry.index.reader import answer

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context
    from fileferry.index.reader import Reader

# What the API takes as a picture; everything else is a document to it.
PICTURES = (".png", ".jpeg", ".jpg", ".webp", ".gif")
_WORST = (4, 3, 6)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `input`."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a path, or FOLDER:relative/path")
    parser.add_argument(
        "--json", action="store_true", help="changes nothing: the output is JSON anyway"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print one list with a part for each path, or nothing when one of them has no id."""
    parts: list[dict[str, str]] = []
    codes: set[int] = set()
    with context.reader(arguments.config) as reader:
        for text in arguments.paths:
            code, why, part = _part(reader, text, context)
            if code:
                codes.add(code)
                context.talk(f"{safe(text)}: {why}")
            else:
                parts.append(part)
    if codes:
        return next(code for code in _WORST if code in codes)
    import json

    context.out.write(json.dumps(parts, indent=2 if context.out.isatty() else None) + "\n")
    return 0


def _part(reader: Reader, text: str, context: Context) -> tuple[int, str | None, dict[str, str]]:
    try:
        folder_id, path = reader.locate(text, context.cwd)
    except UnknownPath as error:
        return UNKNOWN, error.message, {}
    row = reader.entry(folder_id, path)
    if row is None:
        return UNKNOWN, "it is not in the index", {}
    file_id = answer(row, time.time())  # noqa: TID251 - the clock module costs an asyncio
    code, why = verdict(row, file_id)
    if code or file_id is None:
        return code, why, {}
    picture = path.lower().endswith(tuple(ending.encode() for ending in PICTURES))
    return 0, None, {"type": "input_image" if picture else "input_file", "file_id": file_id}
