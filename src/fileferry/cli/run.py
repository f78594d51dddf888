"""`fileferry run`: the daemon, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.clock import SystemClock

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `run`."""
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="what is logged to stderr (default: info)",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Mirror until SIGTERM, which ends with 0, or Ctrl-C, which ends with 130 as everywhere."""
    from fileferry.daemon.logs import Log
    from fileferry.daemon.service import Service

    log = Log("debug" if arguments.verbose else arguments.log_level)
    service = Service(
        lambda: context.config(arguments.config), context.environ, clock=SystemClock(), log=log
    )
    service.run()
    if service.interrupted:
        raise KeyboardInterrupt
    return 0
