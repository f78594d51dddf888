"""`fileferry check`: compare index, disk and remote, and change nothing."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from fileferry.cli.text import count, place
from fileferry.clock import SystemClock
from fileferry.daemon.comparison import Comparison, Finding
from fileferry.errors import NotInitialised
from fileferry.index.identity import FILE_NAME, shown
from fileferry.plan.comparison import Symbol

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context
    from fileferry.config.load import Config
    from fileferry.daemon.remote_view import RemoteView

DIFFERENT = 3
_WORDS = {
    Symbol.SAME: "the same",
    Symbol.DISK_ONLY: "on disk only",
    Symbol.INDEX_ONLY: "in the index only",
    Symbol.DIFFERS: "different",
    Symbol.ERROR: "in error",
    Symbol.UNKNOWN: "unknown",
}
_ABOUT = """Compare the index with the disk, and with --remote with the API. Nothing is changed.

A symbol stands before each path:
  =  the same
  +  on disk only: not in the index, or not uploaded yet
  -  in the index only: gone from disk
  *  different
  !  cannot be read, is rejected, or its remote file is lost
  ?  unknown: cannot be looked at, or a remote file that is not proven to be ours
Exit code 0 when all is the same, else 3. `fileferry repair` mends."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `check`."""
    from argparse import RawDescriptionHelpFormatter

    parser.description = _ABOUT
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.add_argument(
        "--local",
        choices=("quick", "full"),
        default="quick",
        help="quick: compare sizes and times (default); full: read and hash every file again",
    )
    parser.add_argument(
        "--remote", action="store_true", help="compare with a listing of the API too"
    )
    parser.add_argument("--differences", action="store_true", help="leave out what is the same")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line; the last has the counts"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Print how each path compares; say in the exit code whether all is the same."""
    config = context.config(arguments.config)
    path = index_path(config)
    report = Report(context, as_json=arguments.json, differences=arguments.differences)
    local = Comparison(
        path, config.folders, now=SystemClock().wall(), full=arguments.local == "full"
    )
    for finding in local.findings():
        report.add("local", finding)
    if arguments.remote:
        from fileferry.cli.ask_remote import ask

        async def compare(view: RemoteView) -> None:
            await view.greet()
            async for finding in view.compare():
                report.add("remote", finding)

        ask(config, context, path, compare)
    return report.end()


def index_path(config: Config) -> str:
    """Return where the index is.

    Raises:
        NotInitialised: there is none.
        IndexDamaged: it cannot be read as one of ours.
    """
    from fileferry.index.reader import Reader

    Reader(config.state.directory).close()
    path = os.path.join(config.state.directory, FILE_NAME)
    if not os.path.exists(path):
        raise NotInitialised(f"there is no index at `{path}` yet", hint="run `fileferry sync`")
    return path


class Report:
    """Prints findings as they come, and counts them."""

    def __init__(self, context: Context, *, as_json: bool, differences: bool) -> None:
        self._context = context
        self._as_json = as_json
        self._differences = differences
        self._counts: Counter[Symbol] = Counter()

    def add(self, where: str, finding: Finding) -> None:
        """Print a finding; `where` is `local` or `remote`."""
        verdict = finding.verdict
        self._counts[verdict.symbol] += 1
        if self._differences and verdict.symbol is Symbol.SAME:
            return
        if self._as_json:
            self._context.json(
                {
                    "symbol": verdict.symbol,
                    "where": where,
                    "folder": finding.folder or None,
                    "path": shown(finding.path) if finding.folder else None,
                    "file_id": finding.file_id,
                    "detail": verdict.detail or None,
                }
            )
            return
        name = place(finding.folder, finding.path) if finding.folder else ""
        if where == "remote":
            name = f"{finding.file_id} {name}".rstrip()
        detail = f"  ({verdict.detail})" if verdict.detail else ""
        self._context.say(f"{verdict.symbol} {name}{detail}")

    def end(self) -> int:
        """Print the counts and return the exit code."""
        same = not any(number for symbol, number in self._counts.items() if symbol != Symbol.SAME)
        if self._as_json:
            counts = {symbol.value: self._counts[symbol] for symbol in Symbol}
            self._context.json({"summary": counts, "same": same})
        else:
            words = [
                f"{self._counts[symbol]:,} {word}"
                for symbol, word in _WORDS.items()
                if self._counts[symbol] or symbol is Symbol.SAME
            ]
            self._context.say(
                f"{count(sum(self._counts.values()), 'comparison')}: {', '.join(words)}"
            )
        return 0 if same else DIFFERENT
