"""`fileferry check-ignore`: which rule leaves a path out. It asks the configuration, not the index."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fileferry.errors import UnknownPath

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.ignore.pattern import Rule
    from fileferry.model import Folder

IGNORED, NOT_IGNORED, UNKNOWN = 0, 1, 4


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `check-ignore`."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        help="a path, or FOLDER:relative/path; it need not exist, and a directory that does not ends in /",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a path")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print `SOURCE:LINE:PATTERN<TAB>PATH` for each path that is ignored; exit 1 when none is."""
    config = context.config(arguments.config)
    codes = {_explain(config, text, arguments, context) for text in arguments.paths}
    if UNKNOWN in codes:
        return UNKNOWN
    return IGNORED if IGNORED in codes else NOT_IGNORED


def _explain(config: Config, text: str, arguments: argparse.Namespace, context: Context) -> int:
    from fileferry.cli.text import safe

    try:
        folder, path = _locate(config, text, context.cwd)
    except UnknownPath as error:
        if arguments.json:
            context.json({"path": safe(text), "ignored": None, "error": error.message})
        else:
            context.complain(error)
        return UNKNOWN
    is_dir = text.endswith("/") or _is_directory(folder.root + b"/" + path)
    rule = _rule(folder, path, is_dir=is_dir) if path else None
    ignored = rule is not None and not rule.negated
    source, line, pattern = ("", 0, "") if rule is None else _origin(config, folder, rule)
    if arguments.json:
        context.json(
            {
                "path": safe(text),
                "ignored": ignored,
                "source": source or None,
                "line": line or None,
                "pattern": pattern or None,
                "error": None,
            }
        )
    elif ignored:
        context.say(f"{source}:{line}:{pattern}", text)
    return IGNORED if ignored else NOT_IGNORED


def _locate(config: Config, text: str, cwd: str) -> tuple[Folder, bytes]:
    """Find the folder that owns a path.

    Raises:
        UnknownPath: none does, or a folder inside the one that was named.
    """
    roots = sorted(config.folders, key=lambda folder: len(folder.root), reverse=True)
    name, colon, relative = text.partition(":")
    named = next((folder for folder in roots if colon and folder.name == name), None)
    if named is not None:
        path = os.path.normpath(b"/" + os.fsencode(relative)).strip(b"/")
        owner = next(folder for folder in roots if _inside(folder.root, named.root + b"/" + path))
        if owner is not named:
            raise UnknownPath(
                f"`{text}` belongs to folder `{owner.name}`, which is inside `{named.name}`",
                hint=f"ask for `{owner.name}:…`",
            )
        return named, path
    whole = os.fsencode(os.path.normpath(os.path.join(cwd, os.path.expanduser(text))))
    resolved = os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))
    for candidate in (whole, resolved):
        for folder in roots:
            if _inside(folder.root, candidate):
                return folder, candidate[len(folder.root.rstrip(b"/")) :].strip(b"/")
    raise UnknownPath(
        f"`{text}` is in no folder of the configuration",
        hint="`fileferry config show` names them; a PATH may also be FOLDER:relative/path",
    )


def _inside(root: bytes, path: bytes) -> bool:
    return path.rstrip(b"/") == root.rstrip(b"/") or path.startswith(root.rstrip(b"/") + b"/")


def _is_directory(path: bytes) -> bool:
    import stat

    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _rule(folder: Folder, path: bytes, *, is_dir: bool) -> Rule | None:
    from fileferry.ignore.rules import Rules
    from fileferry.local.scanner import rules_text

    def read(file: bytes) -> bytes | None:
        directory, slash, _ = file.rpartition(b"/")
        try:
            return rules_text(folder.root, directory + slash)
        except OSError:
            return None  # it cannot be read: then a scan could not look in there either

    return Rules(folder.ignore, default_ignore=folder.default_ignore).explain(path, is_dir, read)


def _origin(config: Config, folder: Folder, rule: Rule) -> tuple[str, int, str]:
    """Name file, line and pattern of a rule; the configuration knows the line where its list begins."""
    pattern = os.fsdecode(rule.pattern)
    if rule.source == "config":
        file, _, line = config.origins.get(f"folder.{folder.name}.ignore", "").rpartition(":")
        return (file, int(line), pattern) if line.isdigit() else (config.path, rule.line, pattern)
    if rule.source == "default":
        return "default", rule.line, pattern
    return os.path.join(os.fsdecode(folder.root), rule.source), rule.line, pattern
