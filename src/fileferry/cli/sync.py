"""`fileferry sync`: one process, one pass and what follows from it, then the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileferry.errors import DaemonUnreachable, LockHeld

if TYPE_CHECKING:
    import argparse

    from fileferry.cli.context import Context


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `sync`."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be done, with bytes and calls; change nothing",
    )
    parser.add_argument(
        "--now",
        action="store_true",
        help="do not wait for delete_delay; scans twice (guards and retire_delay stay)",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Reconcile until all that can be done now is done."""
    config = context.config(arguments.config)
    if arguments.dry_run:
        from fileferry.cli.dry_run import dry_run

        return dry_run(config, context, as_json=arguments.json)
    from fileferry.daemon.lock import Lock

    try:
        lock = Lock(config.state.directory)
    except LockHeld as held:
        from fileferry.cli.remote_sync import ask_daemon

        try:
            return ask_daemon(config, context, now=arguments.now, as_json=arguments.json)
        except DaemonUnreachable:
            raise held from None
    try:
        lock.add_roots(folder.root for folder in config.folders)
        from fileferry.cli.local_sync import sync_here

        return sync_here(
            config, context, now=arguments.now, as_json=arguments.json, verbose=arguments.verbose
        )
    finally:
        lock.close()
