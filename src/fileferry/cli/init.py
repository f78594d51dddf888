"""`fileferry init`: a commented configuration for a directory."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from fileferry.errors import FerryError

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `init`."""
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", default=".", help="what to mirror (%(default)s)"
    )
    parser.add_argument(
        "--name", help="what the folder is called in commands; without it, as the directory is"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Write the file, and say what comes next."""
    from fileferry.config import load, source, template

    directory = source.absolute(arguments.directory, context.cwd, context.environ)
    if not os.path.isdir(directory):
        raise FerryError(
            f"`{directory}` is no directory", hint="name the directory that is to be mirrored"
        )
    name = arguments.name or template.name_for(directory)
    text = template.render(directory, name)
    usual = source.default_path(context.environ)
    named = arguments.config or context.environ.get("FILEFERRY_CONFIG")
    path = source.absolute(named, context.cwd, context.environ) if named else usual
    load.from_table(source.parse(text, path), path, context.environ)
    _write(path, text, name)
    context.say(f"wrote {path}")
    option = f" --config {shlex.quote(path)}" if arguments.config else ""
    context.say(f"next: fileferry{option} sync --dry-run")
    return 0


def _write(path: str, text: str, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError as error:
        raise FerryError(
            f"`{path}` is there already, and is not overwritten",
            hint=f"add a `[[folder]]` for `{name}` to it, or name another file with `--config`",
        ) from error
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise FerryError(f"`{path}` cannot be written: {reason}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
