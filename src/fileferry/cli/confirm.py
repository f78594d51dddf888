"""Ask before something that cannot be taken back."""

from __future__ import annotations

import sys

from fileferry.cli.text import safe
from fileferry.errors import FerryError, UsageError

TYPE_CHECKING = False  # the real one lives in typing
if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Declare `--yes`."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def confirm(context: Context, question: str, *, yes: bool) -> None:
    """Return when the answer is yes.

    Raises:
        UsageError: nobody is there to answer, and `--yes` was not given.
        FerryError: the answer was no.
    """
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"this has to be confirmed: {question}", hint="`--yes` confirms it")
    context.err.write(f"{safe(question)} [y/N] ")
    context.err.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise FerryError("nothing was done")
