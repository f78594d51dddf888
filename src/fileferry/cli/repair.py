"""`fileferry repair`: mend what `check` finds, then do what `sync` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fileferry.cli.text import count
from fileferry.clock import SystemClock

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context
    from fileferry.config.load import Config

_ABOUT = (
    "Mend what `check` finds: read again what differs though its size and times agree, take back ids whose bytes came"
    " back, repeat deletes that are stuck, plan what nothing has planned, settle uploads without an answer, and have"
    " the remote listed: ids that are gone are made anew. Then do what `sync` does. Guards stay as they are."
)
_WORDS = {
    "read_again": ("file", "read again"),
    "without_content": ("path", "without a remote file"),
    "sent_again": ("upload", "that nothing would have begun"),
    "deletes_repeated": ("delete", "repeated"),
    "taken_back": ("id", "taken back"),
    "renewals_planned": ("renewal", "planned"),
    "unanswered": ("upload", "without an answer settled"),
    "lost": ("id", "gone at the remote, or expired"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `repair`."""
    parser.description = _ABOUT
    parser.add_argument(
        "--local",
        choices=("quick", "full"),
        default="full",
        help="full: read and hash every file again (default); quick: trust sizes and times",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the outcome as `sync` does, then what was mended: two JSON objects",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Mend the index, sync, and say what was mended; return the exit code of the sync."""
    from base64 import b64encode

    from fileferry.cli.perform import perform

    config = context.config(arguments.config)
    reread = [
        [folder_id, b64encode(path).decode()] for folder_id, path in _silent(arguments, config)
    ]
    before = _counts(arguments, context)
    mended: dict[str, Any] = perform(context, arguments.config, "repair", {"reread": reread})
    code = _sync(arguments, context)
    after = _counts(arguments, context)
    alone = not mended["daemon"]
    mended["unanswered"] = before["open"] if alone else max(0, before["unknown"] - after["unknown"])
    mended["lost"] = after["lost"] - before["lost"]
    if arguments.json:
        context.json({"mended": mended})
        return code
    words = [
        f"{count(mended[key], noun)} {what}" for key, (noun, what) in _WORDS.items() if mended[key]
    ]
    nothing = "nothing was broken" if code == 0 else "nothing; what is left is said above"
    context.say(f"mended: {', '.join(words) or nothing}")
    return code


def _silent(arguments: argparse.Namespace, config: Config) -> list[tuple[int, bytes]]:
    """Return the paths that no survey would look at again."""
    from fileferry.cli.check import index_path
    from fileferry.daemon.comparison import Comparison

    path = index_path(config)
    if arguments.local == "quick":
        return []
    comparison = Comparison(path, config.folders, now=SystemClock().wall(), full=True)
    return [
        (finding.folder_id, finding.path)
        for finding in comparison.findings()
        if finding.verdict.silent
    ]


def _counts(arguments: argparse.Namespace, context: Context) -> dict[str, int]:
    with context.reader(arguments.config) as reader:
        row = next(
            reader.rows(
                "SELECT (SELECT count(*) FROM remote WHERE state = 'lost') AS lost,"
                " (SELECT count(*) FROM intent WHERE state = 'open') AS open,"
                " (SELECT count(*) FROM intent WHERE state = 'unknown') AS unknown"
            )
        )
        return {key: int(row[key]) for key in ("lost", "open", "unknown")}


def _sync(arguments: argparse.Namespace, context: Context) -> int:
    from argparse import Namespace

    from fileferry.cli import sync

    return sync.run(
        Namespace(
            config=arguments.config,
            verbose=arguments.verbose,
            json=arguments.json,
            dry_run=False,
            now=False,
        ),
        context,
    )
