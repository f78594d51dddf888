"""`fileferry path`: which paths an id stands for."""

from __future__ import annotations

from fileferry.cli.text import safe
from fileferry.errors import UnknownPath

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context

UNKNOWN = 4


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `path`."""
    parser.add_argument("file_ids", metavar="FILE_ID", nargs="+", help="an id of the Files API")
    parser.add_argument("--json", action="store_true", help="print one JSON object an id")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print the paths of each id, one a line."""
    code = 0
    with context.reader(arguments.config) as reader:
        for file_id in arguments.file_ids:
            why = None
            try:
                paths = reader.paths_of(file_id)
            except UnknownPath as error:
                code, paths, why = UNKNOWN, [], error.message
            if arguments.json:
                context.json({"file_id": safe(file_id), "paths": paths, "error": why})
                continue
            for path in paths:
                context.say(safe(path))
            if why is not None:
                context.talk(why)
            elif not paths:
                context.talk(f"no path points at `{file_id}` any more")
    return code
